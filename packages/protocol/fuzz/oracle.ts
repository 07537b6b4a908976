import { crc32 } from "node:zlib";
import { ERROR_CODES, MigrationError } from "../src/index.ts";
import type { SerializedError } from "../src/index.ts";

/** A rule that a decoder broke. Anything else that is thrown in a run is a crash. */
class Violation extends Error {}

export function require(holds: boolean, rule: string): void {
  if (!holds) throw new Violation(rule);
}

/** What a decoder made of an input: the same for every way to cut it into chunks. */
export interface Outcome {
  readonly log: CallLog;
  readonly error: SerializedError | undefined;
}

export function requireSame(one: Outcome, other: Outcome): void {
  const [words, otherWords] = [wordsOf(one), wordsOf(other)];
  require(words === otherWords, `in chunks: ${words}; at once: ${otherWords}`);
  const { calls, digest } = one.log;
  require(digest ===
    other.log.digest, `${calls} calls in chunks, others than the ${other.log.calls} at once`);
}

/** The chunks decide only by how much a limit is exceeded. */
function wordsOf({ error }: Outcome): string {
  if (error === undefined) return "no error";
  return error.code === "LIMIT_EXCEEDED" ? error.message.replace(/^\d+/u, "so many") : error.message;
}

/** Counts and sums up the calls that a decoder makes, and stops one that makes too many. */
export class CallLog {
  calls = 0;
  digest = 0;
  /** Offsets of the decoder at the calls, by what was called. */
  readonly ends = new Map<string, number[]>();
  readonly #most: number;

  /** @param inputBytes a call takes at least a byte of the input, but for a few at its ends. */
  constructor(inputBytes: number) {
    this.#most = 2 * inputBytes + 64;
  }

  add(at: number, what: string, detail: string, bytes?: Uint8Array): void {
    this.calls += 1;
    require(this.calls <= this.#most, `${this.calls} calls, though only ${this.#most} fit the input`);
    this.digest = crc32(`${what} ${detail}`, this.digest);
    if (bytes !== undefined) this.digest = crc32(bytes, this.digest);
    const ends = this.ends.get(what);
    if (ends === undefined) this.ends.set(what, [at]);
    else ends.push(at);
  }
}

/** Checks that an error is one that users may see: a MigrationError with a code that is not a defect's, and a sentence. */
export function requireKnownCode(error: unknown): MigrationError {
  if (!MigrationError.is(error)) throw error;
  const { code, message } = error;
  if (code === "INTERNAL" || !(code in ERROR_CODES)) throw error;
  require(message.length > 0 && message.length < 30_000, `a message of ${message.length} characters`);
  require(!/\p{Cc}/u.test(message), `a message with control characters: ${JSON.stringify(message)}`);
  return error;
}

/** Checks that an error is one that users may see, with an offset in that part of the input. */
export function requireRefusal(thrown: unknown, from: number, to: number): MigrationError {
  const error = requireKnownCode(thrown);
  const { message, offset } = error;
  require(offset !== undefined, `an error without an offset: ${message}`);
  require(offset! >= from && offset! <= to, `an error at ${offset}, not from ${from} to ${to}: ${message}`);
  return error;
}

/** Bytes that are taken by arrays made by their length since the last reset. */
export class Allocations {
  largest = 0;
  total = 0;

  /** Replaces `Uint8Array` in this thread. */
  install(): void {
    globalThis.Uint8Array = new Proxy(Uint8Array, {
      construct: (target, args: unknown[], newTarget) => {
        const [length] = args;
        if (typeof length === "number") this.#add(length);
        return Reflect.construct(target, args, newTarget) as object;
      },
    });
  }

  reset(): void {
    this.largest = 0;
    this.total = 0;
  }

  /**
   * @param most bytes that the limits allow to be held at once.
   * @param inputBytes what was read. In all not much more may be taken than that, however it is cut.
   */
  requireWithin(most: number, inputBytes: number): void {
    require(this.largest <= most, `${this.largest} bytes were taken at once, and ${most} are allowed`);
    const allowed = 2 * most + 16 * inputBytes;
    require(this.total <= allowed, `${this.total} bytes were taken for an input of ${inputBytes}`);
  }

  #add(length: number): void {
    this.largest = Math.max(this.largest, length);
    this.total += length;
  }
}
