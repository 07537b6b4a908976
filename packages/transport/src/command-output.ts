import { MigrationError } from "@peregrine/protocol";
import { setTimeout as delay } from "node:timers/promises";
import type { Channel, ChannelOptions } from "./channel.ts";
import { badExit } from "./command.ts";
import type { Command, CommandExit } from "./command.ts";
import { SocketChannel } from "./socket-channel.ts";
import type { ByteSocket } from "./socket-channel.ts";

/** How long a command whose input has broken may take to end by itself and so say why. Milliseconds. */
const LAST_WORDS_MS = 500;

/**
 * A channel into a command. A command that ends before {@link end} fails the channel, and its status says more than
 * the broken pipe that comes of it. Nobody answers: `read` waits until the channel is closed.
 */
export class CommandOutputChannel implements Channel {
  readonly peer: string;
  readonly medium = "pipe";
  readonly closed: Promise<void>;
  readonly #command: Command;
  readonly #input: SocketChannel;
  #error: MigrationError | undefined;
  #ending: Promise<void> | undefined;

  constructor(command: Command, options: ChannelOptions) {
    this.peer = command.text;
    this.#command = command;
    this.#input = new SocketChannel(command.stdio[0] as ByteSocket, command.text, options, "out");
    this.closed = this.#watch();
  }

  get bytesWritten(): number {
    return this.#input.bytesWritten;
  }

  get bytesRead(): number {
    return 0;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  write(bytes: Uint8Array): Promise<void> {
    const written = this.#orExplained(this.#input.write(bytes));
    // As with any channel, the caller may still be waiting for an earlier write.
    written.catch(() => {});
    return written;
  }

  end(): Promise<void> {
    this.#ending ??= this.#finish();
    this.#ending.catch(() => {});
    return this.#ending;
  }

  // oxlint-disable-next-line eslint/require-yield -- a command says nothing
  async *read(): AsyncGenerator<Uint8Array, void, void> {
    await this.closed;
    if (this.#error !== undefined) throw this.#error;
  }

  destroy(error?: MigrationError): void {
    if (this.#ending === undefined || this.#command.exit?.status !== 0) {
      this.#fail(error ?? this.#failure("closed at this end"));
    }
  }

  /** Resolves when the command has ended and its input is closed. */
  async #watch(): Promise<void> {
    const inputClosed = this.#input.closed.then(() => this.#onInputClosed());
    const exit = await this.#command.exited;
    if (this.#ending === undefined || exit.status !== 0) this.#fail(this.#explain(exit));
    await inputClosed;
  }

  async #onInputClosed(): Promise<void> {
    const { error } = this.#input;
    // Closed in order, the command may take its time; broken, it gets a moment to say why.
    if (error === undefined) return;
    await Promise.race([this.#command.exited, delay(LAST_WORDS_MS, undefined, { ref: false })]);
    this.#fail(error);
  }

  async #finish(): Promise<void> {
    await this.#orExplained(this.#input.end());
    await this.closed;
    if (this.#error !== undefined) throw this.#error;
  }

  /** A failure of the pipe is told in the words of the command, if it has any. */
  async #orExplained(step: Promise<void>): Promise<void> {
    try {
      await step;
    } catch (error) {
      // "Write after end" breaks nothing.
      if (this.#input.error === undefined) throw error;
      await this.closed;
      throw this.#error ?? error;
    }
  }

  #explain(exit: CommandExit): MigrationError {
    return badExit(this.#command.text, exit) ?? this.#failure("it ended before it had taken everything");
  }

  #fail(error: MigrationError): void {
    this.#error ??= error;
    this.#command.kill();
    this.#input.destroy(this.#error);
  }

  #failure(reason: string): MigrationError {
    return new MigrationError("CHANNEL_FAILED", `Connection to '${this.peer}' failed: ${reason}`);
  }
}
