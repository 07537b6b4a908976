import { Duplex } from "node:stream";
import type { RawData, WebSocket } from "ws";
import type { ByteSocket } from "./socket-channel.ts";
import { answerPings, CLOSE_TIMEOUT_MS } from "./web-socket-limits.ts";

/** Bytes of a message that is sent. A quarter of what is accepted. */
const MESSAGE_BYTES = 256 * 1024;

/** Close codes of RFC 6455. */
const NORMAL_CLOSURE = 1000;
const PROTOCOL_ERROR = 1002;
const UNSUPPORTED_DATA = 1003;

type Done = (error?: Error | null) => void;

/** A binary message without bytes: this direction has ended. */
const END = new Uint8Array(0);

/**
 * A byte stream in the binary messages of a WebSocket. How bytes are cut into messages means nothing. WebSockets have
 * no end of one direction, so that is an empty message; the closing handshake follows when both have ended.
 */
export class WebSocketStream extends Duplex implements ByteSocket {
  readonly #webSocket: WebSocket;
  readonly #socket: ByteSocket;
  /** Whether an end without an end message is a cut: somebody who cannot forge messages can still close. */
  readonly #strict: boolean;
  #isCut = false;
  #peerEnded = false;
  #closed = false;

  /**
   * @param socket the one below the WebSocket, which knows why a connection broke.
   * @param strict the peer has to say that it has ended, as over TLS.
   */
  constructor(webSocket: WebSocket, socket: ByteSocket, strict: boolean) {
    super({ allowHalfOpen: true });
    this.#strict = strict;
    this.#webSocket = webSocket;
    this.#socket = socket;
    webSocket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    webSocket.on("error", (error) => this.destroy(error));
    answerPings(webSocket);
    webSocket.once("close", () => this.#onClose());
    socket.once("error", (error) => this.destroy(error));
    socket.on("timeout", () => this.emit("timeout"));
  }

  get endFault(): string | undefined {
    return this.#isCut ? "the WebSocket ended without the message that ends a stream" : undefined;
  }

  get below(): ByteSocket {
    return this.#socket;
  }

  setTimeout(ms: number): this {
    this.#socket.setTimeout(ms);
    return this;
  }

  override _read(): void {
    this.#webSocket.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: Done): void {
    this.#send(chunk, 0, done);
  }

  override _final(done: Done): void {
    this.#sendMessage(END, done);
  }

  override _destroy(error: Error | null, done: Done): void {
    if (error === null && this.#peerEnded && this.writableFinished) this.#closeInOrder();
    else this.#webSocket.terminate();
    if (this.#closed) done(error);
    else this.#webSocket.once("close", () => done(error));
  }

  /** Both directions have ended: nothing is lost by a peer that does not answer any more. */
  #closeInOrder(): void {
    this.#webSocket.resume();
    this.#webSocket.close(NORMAL_CLOSURE);
    const timer = setTimeout(() => this.#webSocket.terminate(), CLOSE_TIMEOUT_MS);
    this.#webSocket.once("close", () => clearTimeout(timer));
  }

  #send(bytes: Buffer, start: number, done: Done): void {
    const end = start + MESSAGE_BYTES;
    this.#sendMessage(bytes.subarray(start, end), (error) => {
      if (error || end >= bytes.length) done(error);
      else this.#send(bytes, end, done);
    });
  }

  #sendMessage(bytes: Uint8Array, done: Done): void {
    this.#webSocket.send(bytes, { binary: true, compress: false }, (error) => {
      // The library's own error only says that the message was given up.
      done(error ? (this.#socket.errored ?? brokenPipe()) : null);
    });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    const bytes = data as Buffer;
    if (!isBinary) {
      this.#refuse(UNSUPPORTED_DATA, "the peer sent text, and a migration stream is binary");
    } else if (this.#peerEnded) {
      this.#refuse(PROTOCOL_ERROR, "the peer sent more after its end");
    } else if (bytes.length === 0) {
      this.#peerEnded = true;
      this.push(null);
    } else if (!this.push(bytes)) {
      this.#webSocket.pause();
    }
  }

  #refuse(code: number, reason: string): void {
    this.#webSocket.close(code, reason);
    this.destroy(new Error(reason));
  }

  /** Without TLS a peer that dies in order of its kernel looks the same as one that has ended. */
  #onClose(): void {
    this.#closed = true;
    if (this.#peerEnded) return;
    this.#peerEnded = true;
    this.#isCut = this.#strict;
    this.push(null);
  }
}

/** What is written to a peer that has gone goes nowhere. */
function brokenPipe(): Error {
  return Object.assign(new Error("the peer has closed the WebSocket"), { code: "EPIPE" });
}
