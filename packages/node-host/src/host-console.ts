import fs from "node:fs";
import type { Readable } from "node:stream";
import { isatty } from "node:tty";
import type { ConsoleStream, HostConsole, UnreadInput } from "@peregrine/machine-wasm";
import { HostError } from "@peregrine/machine-wasm/guest";
import { ConsoleRing, createConsoleRing } from "./console-ring.ts";
import { hostError } from "./host-files.ts";

/**
 * The main thread's end of console input. Reads a stream into a ring that the guest drains. While
 * the ring is full the stream is paused, so at most one chunk waits beside it.
 */
export class ConsoleInput {
  /** What a {@link GuestConsole} in the guest's thread is made with. */
  readonly memory: SharedArrayBuffer;
  readonly #ring: ConsoleRing;
  readonly #wake: () => void;
  #stream: Readable | undefined;
  #waiting: Uint8Array = new Uint8Array(0);
  #ended = false;
  #waitingForRoom = false;

  /** @param wake called after there is more to read, or the end of input; it wakes a guest that waits. */
  constructor(wake: () => void, capacity?: number) {
    this.memory = createConsoleRing(capacity);
    this.#ring = new ConsoleRing(this.memory);
    this.#wake = wake;
  }

  /** Starts to take input from `stream`, from where it is. One stream at a time. */
  attach(stream: Readable): void {
    if (this.#stream !== undefined) throw new TypeError("a stream is attached already");
    this.#stream = stream;
    stream.on("data", this.#onData);
    stream.on("end", this.#onEnd);
    stream.on("close", this.#onEnd);
    stream.off("error", this.#onError);
    stream.on("error", this.#onError);
    if (stream.readableEnded || stream.destroyed) this.#onEnd();
    else if (this.#waiting.length > 0) stream.pause();
    else stream.resume();
  }

  /** Stops taking input. The stream is left paused; what was read from it stays for the guest. */
  detach(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#stream = undefined;
    stream.off("data", this.#onData);
    stream.off("end", this.#onEnd);
    stream.off("close", this.#onEnd);
    // The listener for errors stays: without one a terminal that fails now would end this process.
    stream.pause();
  }

  /** What was read from the stream and not by the guest, which must not be reading now. It stays for the guest. */
  unread(): UnreadInput {
    return { bytes: Buffer.concat([this.#ring.peek(), this.#waiting]), ended: this.#ended };
  }

  readonly #onData = (chunk: Uint8Array | string): void => {
    const bytes = typeof chunk === "string" ? new TextEncoder().encode(chunk) : chunk;
    // A stream may hand out what it had buffered although it is paused.
    this.#waiting = this.#waiting.length === 0 ? bytes : Buffer.concat([this.#waiting, bytes]);
    this.#fill();
  };

  /** A terminal or pipe that fails has nothing more to say. One that fails while it is detached is found destroyed later. */
  readonly #onError = (): void => {
    if (this.#stream !== undefined) this.#onEnd();
  };

  /** A stream ends, closes and fails; the first of them counts. */
  readonly #onEnd = (): void => {
    if (this.#ended) return;
    this.#ended = true;
    this.#fill();
  };

  /** Moves what waits into the ring; pauses the stream and comes back when it does not fit. */
  #fill(): void {
    const count = this.#ring.put(this.#waiting);
    this.#waiting = this.#waiting.subarray(count);
    const allIn = this.#waiting.length === 0;
    if (allIn && this.#ended) this.#ring.end();
    if (count > 0 || (allIn && this.#ended)) this.#wake();
    if (allIn) this.#stream?.resume();
    else void this.#fillLater();
  }

  async #fillLater(): Promise<void> {
    this.#stream?.pause();
    if (this.#waitingForRoom) return;
    this.#waitingForRoom = true;
    await this.#ring.room();
    this.#waitingForRoom = false;
    this.#fill();
  }
}

/** The guest thread's console: input from a {@link ConsoleInput}, output straight to descriptors. */
export class GuestConsole implements HostConsole {
  readonly #ring: ConsoleRing;
  readonly #outputs: Readonly<Record<1 | 2, number>>;
  readonly #opened: readonly number[];
  readonly #terminals: readonly [boolean, boolean, boolean];

  /** @param descriptors of this process to write to; 1 and 2 unless told otherwise. */
  constructor(input: SharedArrayBuffer, descriptors: Readonly<Record<1 | 2, number>> = { 1: 1, 2: 2 }) {
    this.#ring = new ConsoleRing(input);
    this.#outputs = { 1: nonBlocking(descriptors[1]), 2: nonBlocking(descriptors[2]) };
    this.#opened = Object.values(this.#outputs).filter(
      (output) => !Object.values(descriptors).includes(output),
    );
    this.#terminals = [isatty(0), isatty(descriptors[1]), isatty(descriptors[2])];
  }

  write(stream: 1 | 2, bytes: Uint8Array): number {
    if (bytes.length === 0) return 0;
    try {
      return fs.writeSync(this.#outputs[stream], bytes);
    } catch (error) {
      const failure = hostError(error);
      if (failure instanceof HostError && failure.errno === "EAGAIN") return 0;
      throw failure;
    }
  }

  read(target: Uint8Array): number | undefined {
    // The end is looked at first: bytes put before it are then seen for sure.
    const ended = this.#ring.ended;
    const count = this.#ring.take(target);
    return count === 0 && ended && target.length > 0 ? undefined : count;
  }

  readable(): number | "end" {
    const ended = this.#ring.ended;
    const length = this.#ring.length;
    return length === 0 && ended ? "end" : length;
  }

  isTerminal(stream: ConsoleStream): boolean {
    return this.#terminals[stream];
  }

  /** Closes what it opened. Nothing may be written afterwards. */
  close(): void {
    for (const descriptor of this.#opened) fs.closeSync(descriptor);
  }
}

/**
 * A pipe or terminal is opened once more without blocking, so that a reader that has stopped
 * reading cannot hold the guest's thread inside a write, where nothing can stop it. The descriptor
 * itself may be shared with other processes and is left as it is. Where that cannot be done, and
 * for files, writes go to the descriptor itself.
 */
function nonBlocking(descriptor: number): number {
  try {
    const stat = fs.fstatSync(descriptor);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return descriptor;
    return fs.openSync(
      `/proc/self/fd/${descriptor}`,
      fs.constants.O_WRONLY | fs.constants.O_NONBLOCK | fs.constants.O_NOCTTY,
    );
  } catch {
    return descriptor;
  }
}
