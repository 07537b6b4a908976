import { MigrationError } from "@peregrine/protocol";
import type { Channel, ChannelOptions } from "./channel.ts";
import { badExit } from "./command.ts";
import type { Command } from "./command.ts";
import { refused } from "./handled-promise.ts";
import { SocketChannel } from "./socket-channel.ts";
import type { ByteSocket } from "./socket-channel.ts";

/** A channel out of a command: its last byte counts only when it has ended with status 0. */
export class CommandInputChannel implements Channel {
  readonly peer: string;
  readonly medium = "pipe";
  readonly closed: Promise<void>;
  readonly #command: Command;
  readonly #output: SocketChannel;
  #error: MigrationError | undefined;

  constructor(command: Command, options: ChannelOptions) {
    this.peer = command.text;
    this.#command = command;
    this.#output = new SocketChannel(command.stdio[1] as ByteSocket, command.text, options, "in");
    this.closed = this.#watch();
  }

  get bytesWritten(): number {
    return 0;
  }

  get bytesRead(): number {
    return this.#output.bytesRead;
  }

  get error(): MigrationError | undefined {
    return this.#error;
  }

  write(bytes: Uint8Array): Promise<void> {
    return this.#output.write(bytes);
  }

  end(): Promise<void> {
    return this.#error === undefined ? Promise.resolve() : refused(this.#error);
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    yield* this.#output.read();
    await this.succeeded();
  }

  pass(take: (bytes: Uint8Array) => boolean): Promise<void> {
    return this.#output.pass(take);
  }

  async succeeded(): Promise<void> {
    const exit = await this.#command.exited;
    const error = this.#error ?? badExit(this.#command.text, exit);
    if (error !== undefined) throw error;
  }

  destroy(error?: MigrationError): void {
    if (this.#command.exit === undefined) this.#error ??= error ?? this.#closedHere();
    this.#command.kill();
    this.#output.destroy(this.#error ?? error);
  }

  /** Resolves when the command has ended and its output is closed. */
  async #watch(): Promise<void> {
    const exit = await this.#command.exited;
    this.#error ??= badExit(this.#command.text, exit);
    await this.#output.closed;
    this.#error ??= this.#output.error;
  }

  #closedHere(): MigrationError {
    return new MigrationError("CHANNEL_FAILED", `Connection to '${this.peer}' failed: closed at this end`);
  }
}
