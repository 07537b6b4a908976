import { MigrationError } from "@peregrine/protocol";
import type net from "node:net";
import type { Channel, ChannelOptions } from "./channel.ts";
import { systemError } from "./errno.ts";

const DEFAULT_STALL_TIMEOUT_MS = 30_000;

/**
 * A write that the kernel takes whole completes without a turn of the event loop, so a fast peer
 * would starve everything else of this thread. After this many bytes a write waits for its turn.
 */
const BYTES_PER_TURN = 1 << 20;

/**
 * A channel over a connected socket. At most one chunk waits here for the reader, and about as much
 * inside the socket; then the socket is paused and the peer is held back by the kernel.
 */
export class SocketChannel implements Channel {
  readonly peer: string;
  readonly closed: Promise<void>;
  readonly #socket: net.Socket;
  readonly #stallTimeout: number;
  #error: MigrationError | undefined;
  #bytesWritten = 0;
  #bytesRead = 0;
  #bytesSinceTurn = 0;
  #pendingWrites = 0;
  #ending: Promise<void> | undefined;
  #chunk: Uint8Array | undefined;
  #peerEnded = false;
  #wakeReader: (() => void) | undefined;

  constructor(socket: net.Socket, peer: string, options: ChannelOptions) {
    this.#socket = socket;
    this.peer = peer;
    this.#stallTimeout = options.stallTimeout ?? DEFAULT_STALL_TIMEOUT_MS;
    this.closed = new Promise((resolve) => {
      socket.once("close", () => {
        this.#onClose();
        resolve();
      });
    });
    socket.on("data", (chunk: Buffer) => this.#onChunk(chunk));
    socket.once("end", () => {
      this.#peerEnded = true;
      this.#wake();
    });
    socket.on("error", (error) => this.#fail(error));
    socket.on("timeout", () => this.#onStall());
    // Reading starts at once, so that the death of an idle peer is noticed without a reader.
    socket.resume();
  }

  get bytesWritten(): number {
    return this.#bytesWritten;
  }

  get bytesRead(): number {
    return this.#bytesRead;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  write(bytes: Uint8Array): Promise<void> {
    const refusal =
      this.#error ?? (this.#ending === undefined ? undefined : this.#failure("write after end"));
    if (refusal !== undefined) return Promise.reject(refusal);
    if (bytes.length === 0) return Promise.resolve();
    return handled((resolve, reject) => {
      this.#writeStarted();
      this.#socket.write(bytes, (error) => {
        this.#writeDone();
        if (error) {
          reject(this.#fail(error));
          return;
        }
        this.#bytesWritten += bytes.length;
        this.#bytesSinceTurn += bytes.length;
        if (this.#bytesSinceTurn < BYTES_PER_TURN) {
          resolve();
          return;
        }
        this.#bytesSinceTurn = 0;
        setImmediate(resolve);
      });
    });
  }

  end(): Promise<void> {
    if (this.#ending !== undefined) return this.#ending;
    if (this.#error !== undefined) return Promise.reject(this.#error);
    this.#ending = handled((resolve, reject) => {
      this.#socket.end((error?: Error | null) => {
        if (error) reject(this.#fail(error));
        else resolve();
      });
    });
    return this.#ending;
  }

  destroy(error?: MigrationError): void {
    if (this.#socket.destroyed) return;
    this.#error ??= error ?? this.#failure("closed at this end");
    this.#chunk = undefined;
    this.#socket.destroy();
    this.#wake();
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    for (;;) {
      const chunk = this.#chunk;
      if (chunk !== undefined) {
        this.#chunk = undefined;
        this.#bytesRead += chunk.length;
        yield chunk;
      } else if (this.#error !== undefined) {
        throw this.#error;
      } else if (this.#peerEnded) {
        return;
      } else {
        await this.#nextEvent();
      }
    }
  }

  #nextEvent(): Promise<void> {
    if (this.#wakeReader !== undefined) throw new MigrationError("INTERNAL", "a channel has two readers");
    return new Promise((resolve) => {
      this.#wakeReader = resolve;
      this.#socket.resume();
    });
  }

  #wake(): void {
    const wake = this.#wakeReader;
    this.#wakeReader = undefined;
    wake?.();
  }

  #onChunk(chunk: Buffer): void {
    this.#chunk = chunk;
    this.#socket.pause();
    this.#wake();
  }

  #onClose(): void {
    if (!(this.#peerEnded && this.#socket.writableFinished)) this.#error ??= this.#failure("closed");
    this.#wake();
  }

  #onStall(): void {
    if (this.#pendingWrites === 0) return;
    this.destroy(this.#failure(`the peer took no data for ${this.#stallTimeout / 1000} s`));
  }

  #writeStarted(): void {
    this.#pendingWrites++;
    if (this.#pendingWrites === 1) this.#socket.setTimeout(this.#stallTimeout);
  }

  #writeDone(): void {
    this.#pendingWrites--;
    if (this.#pendingWrites === 0) this.#socket.setTimeout(0);
  }

  /** The first failure is the one that counts: what follows are its consequences. */
  #fail(cause: unknown): MigrationError {
    this.#error ??= systemError("CHANNEL_FAILED", `Connection to '${this.peer}' failed`, cause);
    this.#wake();
    return this.#error;
  }

  #failure(reason: string): MigrationError {
    return new MigrationError("CHANNEL_FAILED", `Connection to '${this.peer}' failed: ${reason}`);
  }
}

/**
 * A promise that may reject while its caller is still waiting for an earlier one; without a handler
 * of its own that would end the process. The caller sees the rejection all the same.
 */
function handled(
  executor: (resolve: () => void, reject: (error: MigrationError) => void) => void,
): Promise<void> {
  const promise = new Promise<void>(executor);
  promise.catch(() => {});
  return promise;
}
