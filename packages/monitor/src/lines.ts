import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";

const NEWLINE = 0x0a;

export type Line =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "bad"; readonly error: MigrationError };

/** Of the buffer that what is missing its end is kept in; more is taken as it comes. */
const FIRST_BYTES = 256;

/**
 * Cuts a byte stream into lines of text, wherever its chunks are cut. A line that is longer than the
 * limit or is not UTF-8 is reported once and skipped; nothing beyond the limit is kept.
 */
export class LineDecoder {
  readonly #maxBytes: number;
  /** What of a line came with earlier chunks. One buffer: a line that comes byte by byte takes no more than another. */
  #kept = new Uint8Array(FIRST_BYTES);
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that `chunk` completes. It may be used again when they have all been taken. */
  *push(chunk: Uint8Array): Generator<Line, void, void> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      yield this.#finish(chunk.subarray(start, end));
      start = end + 1;
    }
    this.#keep(chunk.subarray(start));
  }

  #keep(part: Uint8Array): void {
    const at = this.#length;
    this.#length += part.length;
    if (this.#length > this.#maxBytes) {
      if (this.#kept.length > FIRST_BYTES) this.#kept = new Uint8Array(FIRST_BYTES);
      return;
    }
    if (this.#length > this.#kept.length) {
      const grown = new Uint8Array(Math.min(this.#maxBytes, 2 * this.#length));
      grown.set(this.#kept.subarray(0, at));
      this.#kept = grown;
    }
    this.#kept.set(part, at);
  }

  /** @param rest of a line, up to its end. */
  #finish(rest: Uint8Array): Line {
    const isWhole = this.#length === 0 && rest.length <= this.#maxBytes;
    if (!isWhole) this.#keep(rest);
    const length = isWhole ? rest.length : this.#length;
    const bytes = isWhole ? rest : this.#kept.subarray(0, length);
    this.#length = 0;
    if (length > this.#maxBytes)
      return bad("LIMIT_EXCEEDED", `a line is longer than ${this.#maxBytes} bytes`);
    try {
      return { kind: "line", text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
    } catch {
      return bad("BAD_COMMAND", "a line is not UTF-8");
    }
  }
}

/** The lines that come on a channel; the last one only if it is complete. Errors: those of the channel. */
export async function* readLines(
  channel: Pick<Channel, "read">,
  maxBytes: number,
): AsyncGenerator<Line, void, void> {
  const lines = new LineDecoder(maxBytes);
  for await (const chunk of channel.read()) yield* lines.push(chunk);
}

export function isBlank(line: Line): boolean {
  return line.kind === "line" && line.text.trim() === "";
}

function bad(code: "LIMIT_EXCEEDED" | "BAD_COMMAND", reason: string): Line {
  return { kind: "bad", error: new MigrationError(code, reason) };
}
