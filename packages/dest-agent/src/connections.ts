import { MigrationError, MULTIFD_MAGIC } from "@peregrine/protocol";
import type { Channel, Listener } from "@peregrine/transport";
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
/** Connections that may wait for their first bytes at once; more are closed. */
const MAX_STRANGERS = 256;
/** Milliseconds that connections have for saying what they are once the stream is complete. */
const STRANGERS_WAIT = 500;

export interface ConnectionsOptions {
  readonly listener: Listener;
  readonly interruption: Interruption;
  /** Takes a connection that begins as a multifd channel does. */
  readonly multifd: (connection: Connection) => void;
  /** Told of a connection that is closed because it cannot be of use here. */
  readonly refused?: (error: MigrationError) => void;
  /** Milliseconds that a connection may keep {@link Connections.identified} waiting. Default: 500. */
  readonly strangersWait?: number;
}

/**
 * Takes connections until it is closed, and tells by their first bytes what they are. The first one that is no
 * multifd channel has the stream; another one after it is closed, and so is one that ends without a byte.
 */
export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #main = Promise.withResolvers<Connection>();
  readonly #strangers = new Map<Channel, Promise<void>>();
  #hasMain = false;
  #closed = false;

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    void this.#acceptAll();
  }

  /** The connection that has the stream. */
  get main(): Promise<Connection> {
    return this.#main.promise;
  }

  /** Every connection that came has said what it is; one that says nothing is waited for a moment only. */
  async identified(): Promise<void> {
    // Between two turns the kernel is asked for the connections that it has accepted.
    await turn();
    await turn();
    if (this.#strangers.size === 0) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.strangersWait ?? STRANGERS_WAIT);
    await Promise.race([promise, Promise.all(this.#strangers.values())]);
    clearTimeout(timer);
  }

  /** Listens no longer, and drops the connections that have not said what they are. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const channel of this.#strangers.keys()) channel.destroy();
    await this.#options.listener.close();
  }

  async #acceptAll(): Promise<void> {
    const { listener, interruption } = this.#options;
    try {
      for (;;) {
        const channel = await listener.accept();
        if (this.#closed || this.#strangers.size >= MAX_STRANGERS) channel.destroy();
        else this.#strangers.set(channel, this.#meet(channel));
      }
    } catch (error) {
      if (!this.#closed) interruption.interrupt(MigrationError.from(error));
    }
  }

  /** Others may come that know better. */
  #refuse(channel: Channel): void {
    channel.destroy();
    const text = `The source '${channel.peer}' wants TLS, and there is none here: give this side tls-creds, or take it from the source`;
    this.#options.refused?.(new MigrationError("TLS_FAILED", text));
  }

  /** Never rejects. */
  async #meet(channel: Channel): Promise<void> {
    const rest = channel.read();
    const { head, failure } = await readHead(rest);
    this.#strangers.delete(channel);
    const connection = { channel, chunks: continued(head, rest, failure), head };
    // Somebody has looked whether anybody is here, and is not the source.
    const isVisit = head.length === 0 && this.#options.listener.single !== true;
    if (this.#closed || isVisit) channel.destroy();
    else if (isTls(head) && !this.#options.listener.single) this.#refuse(channel);
    else if (isMultifd(head)) this.#options.multifd(connection);
    else if (this.#hasMain) channel.destroy();
    else {
      this.#hasMain = true;
      this.#main.resolve(connection);
    }
  }
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

function isMultifd(head: Uint8Array): boolean {
  if (head.length < HEAD_BYTES) return false;
  return new DataView(head.buffer, head.byteOffset).getUint32(0) === MULTIFD_MAGIC;
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
