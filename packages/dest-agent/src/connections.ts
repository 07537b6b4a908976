import { MigrationError, MULTIFD_MAGIC, STREAM_MAGIC } from "@peregrine/protocol";
import type { Channel, Listener } from "@peregrine/transport";
import { setTimeout as delay } from "node:timers/promises";
import type { Interruption } from "./interruption.ts";

/** A channel, and everything that comes on it. */
export interface Connection {
  readonly channel: Channel;
  readonly chunks: AsyncGenerator<Uint8Array, void, void>;
  /** What was read of it to tell what it is; in `chunks`, too. */
  readonly head: Uint8Array;
}

/** Bytes that tell what a connection is. */
const HEAD_BYTES = 4;
/** Connections that may wait for their first bytes at once, and channels for their stream; then the oldest is closed. */
const MAX_STRANGERS = 256;
/** Milliseconds that a connection has for saying what it is. */
const IDENTIFY_WAIT = 30_000;
/** Milliseconds that a connection has for saying what it is before a stream that is complete goes on without it. */
const STRANGERS_WAIT = 500;
/** Milliseconds before a connection is asked for again after one could not be taken. */
const ACCEPT_AGAIN = 100;

export interface ConnectionsOptions {
  readonly listener: Listener;
  readonly interruption: Interruption;
  /**
   * Takes a connection that begins as a multifd channel does, when the stream is here.
   * `fromSource`: it comes from the host that the stream comes from.
   */
  readonly multifd: (connection: Connection, fromSource: boolean) => void;
  /** Told of a connection that is closed because it cannot be of use here. */
  readonly refused?: (error: MigrationError) => void;
  /** Milliseconds. Default: 30 000. */
  readonly identifyWait?: number;
  /** Milliseconds from its beginning that a connection may keep {@link Connections.identified} waiting. Default: 500. */
  readonly strangersWait?: number;
}

/** A connection that has not said what it is. */
interface Stranger {
  /** Milliseconds by `performance.now()`. */
  readonly since: number;
  /** Ends when it has, or is closed. Never rejects. */
  readonly met: Promise<void>;
}

/**
 * Takes connections until it is closed, and tells by their first bytes what they are. The first stream is the one that is
 * loaded. Whoever connects besides is closed and changes nothing for it: another stream, one that says nothing for too
 * long, one that goes without a word. A connection that is no stream counts as one that is refused only when nobody else
 * is here: that is how a source finds out that it speaks another language.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #main = Promise.withResolvers<Connection>();
  /** Oldest first. */
  readonly #strangers = new Map<Channel, Stranger>();
  readonly #dropped = new WeakSet<Channel>();
  /** Multifd channels that are here before the stream. */
  readonly #early: Connection[] = [];
  #mainHost: string | undefined;
  #closed = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    void this.#acceptAll();
  }

  /** The connection that has the stream. */
  get main(): Promise<Connection> {
    return this.#main.promise;
  }

  /**
   * Every connection that came has said what it is; one that says nothing is waited for a moment only. The guest stands
   * still meanwhile, so one that has had its moment is not waited for at all.
   */
  async identified(): Promise<void> {
    // Between two turns the kernel is asked for the connections that it has accepted.
    await turn();
    await turn();
    const wait = this.#options.strangersWait ?? STRANGERS_WAIT;
    const now = performance.now();
    const recent = [...this.#strangers.values()].filter(({ since }) => since + wait > now);
    const last = recent.at(-1);
    if (last === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, last.since + wait - now);
    await Promise.race([promise, Promise.all(recent.map(({ met }) => met))]);
    clearTimeout(timer);
  }

  /** Listens no longer, and drops the connections that have not said what they are. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const channel of this.#strangers.keys()) this.#drop(channel);
    for (const { channel } of this.#early.splice(0)) channel.destroy();
    await this.#options.listener.close();
  }

  async #acceptAll(): Promise<void> {
    const { listener, interruption } = this.#options;
    while (!this.#closed) {
      try {
        this.#take(await listener.accept());
      } catch (error) {
        if (this.#closed) return;
        // Whoever could not be taken, for example for want of descriptors, is no concern of a stream that is here.
        if (this.#mainHost !== undefined) await delay(ACCEPT_AGAIN, undefined, { ref: false });
        else {
          interruption.interrupt(MigrationError.from(error));
          return;
        }
      }
    }
  }

  /** Others may come that know better. */
  #refuse(channel: Channel): void {
    channel.destroy();
    const text = `The source '${channel.peer}' wants TLS, and there is none here: give this side tls-creds, or take it from the source`;
    this.#options.refused?.(new MigrationError("TLS_FAILED", text));
  }

  #take(channel: Channel): void {
    if (this.#closed) {
      channel.destroy();
      return;
    }
    const [oldest] = this.#strangers.keys();
    // A source says at once what it is; those that have been silent for longest are the least likely to be one.
    if (oldest !== undefined && this.#strangers.size >= MAX_STRANGERS) this.#drop(oldest);
    this.#strangers.set(channel, { since: performance.now(), met: this.#meet(channel) });
  }

  #drop(channel: Channel): void {
    this.#strangers.delete(channel);
    this.#dropped.add(channel);
    channel.destroy();
  }

  /** Never rejects. */
  async #meet(channel: Channel): Promise<void> {
    const timer = setTimeout(() => this.#drop(channel), this.#options.identifyWait ?? IDENTIFY_WAIT);
    const rest = channel.read();
    const { head, failure } = await readHead(rest);
    clearTimeout(timer);
    this.#strangers.delete(channel);
    if (this.#dropped.has(channel)) return;
    this.#identify({ channel, chunks: continued(head, rest, failure), head });
  }

  #identify(connection: Connection): void {
    const { channel, head } = connection;
    const many = CONNECTED.has(this.#options.listener.address.kind);
    if (many && isTls(head)) this.#refuse(channel);
    else if (many && beginsWith(head, MULTIFD_MAGIC)) this.#addChannel(connection);
    else if (this.#mainHost === undefined && (!many || this.#mayBeStream(head))) this.#begin(connection);
    else channel.destroy();
  }

  #mayBeStream(head: Uint8Array): boolean {
    if (beginsWith(head, STREAM_MAGIC)) return true;
    return head.length > 0 && this.#strangers.size === 0 && this.#early.length === 0;
  }

  #begin(connection: Connection): void {
    const host = hostOf(connection);
    this.#mainHost = host;
    this.#main.resolve(connection);
    const early = this.#early.splice(0);
    const isFromSource = (one: Connection): boolean => hostOf(one) === host;
    // There may be more of them than are expected.
    for (const one of early.filter(isFromSource)) this.#options.multifd(one, true);
    for (const one of early.filter((other) => !isFromSource(other))) this.#options.multifd(one, false);
  }

  #addChannel(connection: Connection): void {
    if (this.#mainHost !== undefined) {
      this.#options.multifd(connection, hostOf(connection) === this.#mainHost);
      return;
    }
    this.#early.push(connection);
    if (this.#early.length > MAX_STRANGERS) this.#early.shift()?.channel.destroy();
  }
}

/** Where many can connect. Elsewhere there is one connection, which is the stream whatever it begins with. */
const CONNECTED: ReadonlySet<string> = new Set(["tcp", "unix", "ws", "wss"]);

/** Who has connected, without the port. The same for all over a unix socket. */
function hostOf({ channel }: Connection): string {
  const port = channel.peer.lastIndexOf(":");
  const host = channel.peer.slice(0, Math.max(port, 0)).replaceAll(/[[\]]/gu, "");
  return host.replace(/^::ffff:(?=\d+\.)/u, "");
}

/** Kind and version of the record that TLS begins with, whatever the version that is agreed on. */
function isTls(head: Uint8Array): boolean {
  return head.length >= HEAD_BYTES && head[0] === 22 && head[1] === 3;
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

interface Head {
  /** Fewer bytes when the channel ends or breaks; whoever reads on finds that out. */
  readonly head: Uint8Array;
  readonly failure: MigrationError | undefined;
}

async function readHead(chunks: AsyncGenerator<Uint8Array, void, void>): Promise<Head> {
  let head = new Uint8Array(0);
  try {
    while (head.length < HEAD_BYTES) {
      const { done, value } = await chunks.next();
      if (done === true) break;
      head = Buffer.concat([head, value]);
    }
  } catch (error) {
    return { head, failure: MigrationError.from(error) };
  }
  return { head, failure: undefined };
}

function beginsWith(head: Uint8Array, magic: number): boolean {
  if (head.length < HEAD_BYTES) return false;
  return new DataView(head.buffer, head.byteOffset).getUint32(0) === magic;
}

async function* continued(
  head: Uint8Array,
  rest: AsyncGenerator<Uint8Array, void, void>,
  failure: MigrationError | undefined,
): AsyncGenerator<Uint8Array, void, void> {
  if (head.length > 0) yield head;
  // What has failed once only ends when it is read again.
  if (failure !== undefined) throw failure;
  yield* rest;
}
