import type net from "node:net";
import { Duplex } from "node:stream";
import type { TLSSocket } from "node:tls";
import type { ByteSocket } from "../socket-channel.ts";
import type { CipherStream } from "./cipher-stream.ts";
import { tlsFailure } from "./tls-failure.ts";

type Done = (error?: Error | null) => void;

export interface TlsStreamParts {
  readonly secure: TLSSocket;
  readonly cipher: CipherStream;
  /** Below both. */
  readonly socket: net.Socket;
  /** As error texts name the other end. */
  readonly peer: string;
}

/**
 * A byte stream over TLS. Each direction ends by itself, as TLS has it; an end of the socket without that is told as
 * {@link endFault}.
 */
export class TlsStream extends Duplex implements ByteSocket {
  readonly peer: string;
  readonly secure: TLSSocket;
  readonly #cipher: CipherStream;
  readonly #socket: net.Socket;
  #isCut = false;

  /** Has to be made within the event of the finished handshake or before, so that no end is missed. */
  constructor({ secure, cipher, socket, peer }: TlsStreamParts) {
    super({ allowHalfOpen: true });
    this.peer = peer;
    this.secure = secure;
    this.#cipher = cipher;
    this.#socket = socket;
    this.#watchEnd();
    // It can break while nobody uses it. Whoever does is told, too.
    this.on("error", () => undefined);
    secure.on("error", (error) => this.destroy(tlsFailure(error, peer)));
    secure.once("close", () => {
      // After both ends it is gone before a slow reader has come to the end of what it gave.
      if (!secure.readableEnded || !secure.writableFinished) this.destroy();
    });
    // What the system says of a connection that broke. TLS has other words for it, or none.
    socket.once("error", (error) => this.destroy(error));
    socket.on("timeout", () => this.emit("timeout"));
  }

  /** Why the bytes that have come are not all of them. Undefined before their end, and after a proper one. */
  get endFault(): string | undefined {
    return this.#isCut ? "it ended without the end that TLS has, so it was cut or the peer died" : undefined;
  }

  get below(): ByteSocket {
    return this.#socket;
  }

  setTimeout(ms: number): this {
    this.#socket.setTimeout(ms);
    return this;
  }

  override _read(): void {
    // Not before somebody wants to read: until then the handshake alone takes what comes.
    if (this.secure.listenerCount("data") === 0) this.#begin();
    this.secure.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#cipher.speak();
    this.secure.write(chunk, done);
  }

  override _final(done: Done): void {
    this.#cipher.speak();
    this.secure.end(done);
  }

  override _destroy(error: Error | null, done: Done): void {
    this.secure.destroy();
    this.#cipher.destroy();
    if (this.#cipher.closed) done(error);
    else this.#cipher.once("close", () => done(error));
  }

  #begin(): void {
    const { secure } = this;
    secure.on("data", (chunk: Buffer) => {
      if (!this.push(chunk)) secure.pause();
    });
    if (secure.readableEnded) this.push(null);
    else secure.once("end", () => this.push(null));
  }

  /**
   * Node ends what a TLS socket gives in the same way for the end that TLS has and for that of the socket. But the end
   * of the socket comes to it through the cipher stream, which has ended by then.
   */
  #watchEnd(): void {
    const { secure } = this;
    const push = secure.push.bind(secure);
    let ended = false;
    secure.push = (chunk: unknown, encoding?: BufferEncoding) => {
      if (chunk === null && !ended) {
        ended = true;
        this.#isCut = this.#cipher.readableEnded;
      }
      return push(chunk, encoding);
    };
  }
}
