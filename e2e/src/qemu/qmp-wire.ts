import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";

/** What a monitor answers to a line. */
export interface Answer {
  readonly return?: unknown;
  readonly error?: { readonly class: string; readonly desc: string };
  readonly id?: unknown;
}

export interface Event {
  readonly event: string;
  readonly data?: unknown;
  readonly timestamp: unknown;
}

/** A connection to a monitor, seen line by line. */
export class QmpWire {
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;
  readonly #events: Event[] = [];

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  /** Waits until a monitor listens there. `hasEnded`: whether its process has. */
  static async connect(path: string, hasEnded: () => boolean): Promise<QmpWire> {
    for (;;) {
      const socket = connect(path);
      try {
        await once(socket, "connect");
        return new QmpWire(socket);
      } catch (error) {
        if (hasEnded()) throw new Error(`nobody listens on ${path}`, { cause: error });
        await delay(20);
      }
    }
  }

  /** The first line that a monitor sends. */
  greeting(): Promise<unknown> {
    return this.#next();
  }

  /** Sends a line as it is. @returns the answer to it. */
  async send(line: string): Promise<Answer> {
    this.#socket.write(`${line}\n`);
    for (;;) {
      const message = await this.#next();
      if (!isEvent(message)) return message as Answer;
      this.#events.push(message);
    }
  }

  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<Answer> {
    return this.send(
      JSON.stringify({ execute: command, ...(args === undefined ? {} : { arguments: args }) }),
    );
  }

  /** The events since this was asked last, in their order. */
  takeEvents(): Event[] {
    return this.#events.splice(0);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #next(): Promise<unknown> {
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error("the monitor has closed the connection");
    return JSON.parse(value) as unknown;
  }
}

function isEvent(message: unknown): message is Event {
  return typeof message === "object" && message !== null && "event" in message;
}
