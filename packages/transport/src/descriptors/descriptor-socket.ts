import { closeSync } from "node:fs";
import type net from "node:net";
import { Duplex } from "node:stream";
import type { ReceivedDescriptors } from "../channel.ts";
import type { ByteSocket } from "../socket-channel.ts";
import { Readiness } from "./readiness.ts";
import type { Watch } from "./readiness.ts";
import { loadSystemCalls } from "./system-calls.ts";
import type { SystemCalls } from "./system-calls.ts";

type Done = (error?: Error | null) => void;

/** The descriptors that came last, until they are taken or others come. */
class DescriptorShelf implements ReceivedDescriptors {
  #received: readonly number[] = [];

  take(): number | undefined {
    const [first, ...others] = this.#received;
    this.#received = others;
    this.replace([]);
    return first;
  }

  replace(received: readonly number[]): void {
    for (const descriptor of this.#received) closeSync(descriptor);
    this.#received = received;
  }
}

/**
 * A unix socket over which descriptors can come, too. Node only writes to it: what Node reads loses the descriptors.
 * Nothing is read before somebody wants it, so those that have come belong to the last bytes that were read.
 */
class DescriptorSocket extends Duplex implements ByteSocket {
  readonly descriptors = new DescriptorShelf();
  readonly #socket: net.Socket;
  readonly #descriptor: number;
  readonly #calls: SystemCalls;
  readonly #watch: Watch;

  constructor(socket: net.Socket, descriptor: number, calls: SystemCalls, readiness: Readiness) {
    super({ allowHalfOpen: true, readableHighWaterMark: 0 });
    this.#socket = socket;
    this.#descriptor = descriptor;
    this.#calls = calls;
    this.#watch = readiness.watch(descriptor, () => this.#receive());
    socket.on("error", (error) => this.destroy(error));
    socket.on("timeout", () => this.emit("timeout"));
  }

  setTimeout(ms: number): this {
    this.#socket.setTimeout(ms);
    return this;
  }

  override _read(): void {
    // A socket that has broken has closed its descriptor, and says so in a moment.
    if (!this.#socket.destroyed) this.#watch.arm();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#socket.write(chunk, done);
  }

  override _final(done: Done): void {
    this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#watch.end();
    this.descriptors.replace([]);
    this.#socket.once("close", () => done(error));
    this.#socket.destroy();
  }

  #receive(): void {
    if (this.#socket.destroyed) return;
    try {
      const received = this.#calls.receive(this.#descriptor);
      if (received === undefined) {
        this.#watch.arm();
        return;
      }
      const { bytes, descriptors } = received;
      if (descriptors.length > 0) this.descriptors.replace(descriptors);
      this.push(bytes.length === 0 ? null : bytes);
    } catch (error) {
      this.destroy(error as Error);
    }
  }
}

let loaded: Promise<((socket: net.Socket) => ByteSocket) | undefined> | undefined;

/**
 * What makes accepted sockets take descriptors. They must not have been read from. Undefined where this system or
 * this installation cannot.
 */
export function descriptorSockets(): Promise<((socket: net.Socket) => ByteSocket) | undefined> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<((socket: net.Socket) => ByteSocket) | undefined> {
  const calls = await loadSystemCalls();
  if (calls === undefined) return undefined;
  const readiness = new Readiness(calls);
  return (socket) => {
    // Node has no documented name for it. Without it the socket works as any other.
    const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: number } };
    if (handle?.fd === undefined || handle.fd < 0) return socket;
    return new DescriptorSocket(socket, handle.fd, calls, readiness);
  };
}
