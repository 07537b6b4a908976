import type net from "node:net";
import { Duplex } from "node:stream";
import { ProtectedRecords } from "./protected-records.ts";

/** Records that wait: a server has two tickets. */
const MAX_UNSAID = 16;

type Done = (error?: Error | null) => void;

/**
 * What TLS reads and writes, over a socket. It has no errors of its own: whoever wants to know why it is gone listens to
 * the socket. It is in between for what Node's TLS does not do on a socket itself: to tell
 * the end of the socket from the end that TLS has, and to keep back what should not be sent yet.
 */
export class CipherStream extends Duplex {
  readonly #socket: net.Socket;
  /** While something is to be held back. */
  #records: ProtectedRecords | undefined;
  #held: (() => void) | undefined;
  /** What is to wait for {@link speak}. Undefined while nothing has to. */
  #unsaid: Buffer[] | undefined;

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
    socket.on("error", () => this.destroy());
    socket.once("close", () => this.destroy());
  }

  /** Lets out what was held back. */
  release(): void {
    this.#records = undefined;
    this.#held?.();
    this.#held = undefined;
  }

  /**
   * From now on waits with what TLS sends of its own accord: the tickets of a server, for sessions that nobody goes on
   * with. A source that wants no answers does not read them, and when it closes its socket with them unread, its kernel
   * takes back what it has sent.
   */
  quiet(): void {
    this.#unsaid = [];
  }

  /** Sends what has waited: there is something to be said now. */
  speak(): void {
    const unsaid = this.#unsaid ?? [];
    this.#unsaid = undefined;
    for (const chunk of unsaid) this.#socket.write(chunk);
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    if (this.#unsaid !== undefined) {
      this.#unsaid.push(chunk);
      if (this.#unsaid.length > MAX_UNSAID) this.speak();
      done();
      return;
    }
    if (this.#records?.next(chunk) === true) {
      this.#held = () => this.#send(chunk, done);
      return;
    }
    this.#send(chunk, done);
  }

  override _writev(chunks: readonly { readonly chunk: Buffer }[], done: Done): void {
    const bytes = chunks.map(({ chunk }) => chunk);
    if (this.#records !== undefined || this.#unsaid !== undefined) {
      this._write(Buffer.concat(bytes), "utf8", done);
      return;
    }
    const last = bytes.pop()!;
    this.#socket.cork();
    for (const chunk of bytes) this.#socket.write(chunk);
    this.#send(last, done);
    this.#socket.uncork();
  }

  override _final(done: Done): void {
    this.speak();
    this.#socket.end(() => done());
  }

  /** A socket that cannot take it is about to say so, and to close this stream. */
  #send(chunk: Buffer, done: Done): void {
    this.#socket.write(chunk, (error) => {
      if (!error) done();
    });
  }

  override _destroy(error: Error | null, done: Done): void {
    this.#socket.destroy();
    if (this.#socket.closed) done(error);
    else this.#socket.once("close", () => done(error));
  }
}
