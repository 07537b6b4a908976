import { MigrationError } from "@peregrine/protocol";
import type { MonitorConnection } from "./connection.ts";

export interface ConversationOptions<Message> {
  readonly connection: Pick<MonitorConnection, "closed" | "end" | "destroy">;
  /** What comes from the client. */
  readonly messages: AsyncIterable<Message>;
  /** Carries out one message and sends what there is to answer. Never rejects. */
  readonly answer: (message: Message) => Promise<void>;
  /** Milliseconds that closing waits for a client to take its last answers. */
  readonly closeTimeout: number;
}

/**
 * The life of one client. What it sends is carried out one after another, in the order in which it came,
 * and while one thing is done nothing more is read from the client.
 */
export class Conversation<Message> {
  readonly #options: ConversationOptions<Message>;
  #closing = false;
  #answering: Promise<void> = Promise.resolve();

  constructor(options: ConversationOptions<Message>) {
    this.#options = options;
  }

  /** Serves the client until it goes away. */
  async run(): Promise<void> {
    const { connection, messages, answer } = this.#options;
    try {
      for await (const message of messages) {
        if (this.#closing) return;
        this.#answering = answer(message);
        await this.#answering;
      }
      await connection.end();
    } catch (error) {
      // A client that breaks off is no concern of anybody else.
      connection.destroy(MigrationError.from(error));
    }
    connection.destroy();
  }

  /** Lets what is under way be answered, begins nothing else, sends what is waiting, and drops the client. */
  async close(): Promise<void> {
    const { connection, closeTimeout } = this.#options;
    this.#closing = true;
    const overdue = setTimeout(() => connection.destroy(), closeTimeout);
    try {
      await Promise.race([this.#answering, connection.closed]);
      await connection.end();
    } catch {
      // It is gone already.
    }
    clearTimeout(overdue);
    connection.destroy();
  }
}
