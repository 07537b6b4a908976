import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";

const NEWLINE = 0x0a;

export type Line =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "bad"; readonly error: MigrationError };

/**
 * Cuts a byte stream into lines of text, wherever its chunks are cut. A line that is longer than the
 * limit or is not UTF-8 is reported once and skipped; nothing beyond the limit is kept.
 */
export class LineDecoder {
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #length = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that `chunk` completes. `chunk` may be kept until its last line is complete. */
  *push(chunk: Uint8Array): Generator<Line, void, void> {
    let start = 0;
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, start)) {
      this.#add(chunk.subarray(start, end));
      yield this.#finish();
      start = end + 1;
    }
    this.#add(chunk.subarray(start));
  }

  #add(part: Uint8Array): void {
    this.#length += part.length;
    if (this.#length > this.#maxBytes) this.#parts = [];
    else if (part.length > 0) this.#parts.push(part);
  }

  #finish(): Line {
    const parts = this.#parts;
    const length = this.#length;
    this.#parts = [];
    this.#length = 0;
    if (length > this.#maxBytes)
      return bad("LIMIT_EXCEEDED", `a line is longer than ${this.#maxBytes} bytes`);
    try {
      return { kind: "line", text: new TextDecoder("utf-8", { fatal: true }).decode(Buffer.concat(parts)) };
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
