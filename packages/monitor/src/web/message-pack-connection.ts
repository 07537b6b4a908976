import { MigrationError } from "@peregrine/protocol";
import { answerPings } from "@peregrine/transport";
import type { RawData, WebSocket } from "ws";
import type { MonitorConnection, Received } from "../connection.ts";
import { decodeMessage, encodeMessage } from "./message-pack.ts";

/** Close code of RFC 6455. */
const NORMAL_CLOSURE = 1000;

/** QMP's messages as MessagePack, one in each binary message of a WebSocket. */
export class MessagePackConnection implements MonitorConnection {
  readonly closed: Promise<void>;
  readonly #webSocket: WebSocket;
  /** What was read with the message that is being answered; the socket is paused meanwhile. */
  readonly #messages: Received[] = [];
  #wake: () => void = () => {};
  #error: MigrationError | undefined;
  #isClosed = false;

  constructor(webSocket: WebSocket) {
    this.#webSocket = webSocket;
    answerPings(webSocket);
    webSocket.on("message", (data, isBinary) => this.#onMessage(data, isBinary));
    webSocket.on("error", (error) => {
      this.#error ??= new MigrationError("CHANNEL_FAILED", `A WebSocket failed: ${error.message}`, {
        cause: error,
      });
    });
    this.closed = new Promise((resolve) => {
      webSocket.once("close", () => {
        this.#isClosed = true;
        this.#wake();
        resolve();
      });
    });
  }

  async *receive(): AsyncGenerator<Received, void, void> {
    for (;;) {
      const message = this.#messages.shift();
      if (message !== undefined) yield message;
      else if (this.#error !== undefined) throw this.#error;
      else if (this.#isClosed) return;
      else await this.#nextMessage();
    }
  }

  encode(message: unknown): Uint8Array {
    return encodeMessage(message);
  }

  write(message: Uint8Array): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#webSocket.send(message, { binary: true }, (error) => {
        if (error instanceof Error) reject(MigrationError.from(error));
        else resolve();
      });
    });
  }

  /** Closes the WebSocket after everything that was written, and waits for the client to do so. */
  async end(): Promise<void> {
    this.#webSocket.resume();
    this.#webSocket.close(NORMAL_CLOSURE);
    await this.closed;
  }

  destroy(error?: MigrationError): void {
    this.#error ??= error;
    this.#webSocket.terminate();
  }

  #nextMessage(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
      this.#webSocket.resume();
    });
  }

  #onMessage(data: RawData, isBinary: boolean): void {
    this.#webSocket.pause();
    this.#messages.push(received(data as Buffer, isBinary));
    this.#wake();
  }
}

function received(bytes: Uint8Array, isBinary: boolean): Received {
  try {
    if (isBinary) return { kind: "value", value: decodeMessage(bytes) };
    throw new MigrationError("BAD_COMMAND", "A message has to be binary, one map in MessagePack");
  } catch (error) {
    return { kind: "bad", error: MigrationError.from(error) };
  }
}
