import type net from "node:net";
import { Duplex } from "node:stream";
import { ProtectedRecords } from "./protected-records.ts";

type Done = (error?: Error | null) => void;

/**
 * What TLS reads and writes, over a socket. It is in between for two things that Node's TLS does not do on a socket
 * itself: it tells the end of the socket from the end that TLS has, and it can hold back what a client shows of itself.
 */
export class CipherStream extends Duplex {
  readonly #socket: net.Socket;
  /** While something is to be held back. */
  #records: ProtectedRecords | undefined;
  #held: (() => void) | undefined;

  /**
   * @param socket that is connected and paused; it is this stream's from now on.
   * @param holds keeps the first protected record and what follows until {@link release}.
   */
  constructor(socket: net.Socket, holds = false) {
    super({ allowHalfOpen: true });
    this.#socket = socket;
    this.#records = holds ? new ProtectedRecords() : undefined;
    socket.on("data", (chunk) => {
      if (!this.push(chunk)) socket.pause();
    });
    socket.once("end", () => this.push(null));
    socket.on("error", (error) => this.destroy(error));
    socket.once("close", () => this.destroy());
  }

  /** Lets out what was held back. */
  release(): void {
    this.#records = undefined;
    this.#held?.();
    this.#held = undefined;
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#records?.next(chunk) === true) {
      this.#held = () => this.#socket.write(chunk, done);
      return;
    }
    this.#socket.write(chunk, done);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    const bytes = chunks.map(({ chunk }) => chunk);
    if (this.#records !== undefined) {
      this._write(Buffer.concat(bytes), "utf8", done);
      return;
    }
    let last = bytes.length;
    let failure: Error | null = null;
    this.#socket.cork();
    for (const chunk of bytes) {
      this.#socket.write(chunk, (error) => {
        failure ??= error ?? null;
        if (--last === 0) done(failure);
      });
    }
    this.#socket.uncork();
  }

  override _final(done: Done): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    if (this.#socket.closed) done(error);
    else this.#socket.once("close", () => done(error));
  }
}
