import { MigrationError } from "@peregrine/protocol";

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

function bad(code: "LIMIT_EXCEEDED" | "BAD_COMMAND", reason: string): Line {
  return { kind: "bad", error: new MigrationError(code, `JSON parse error, ${reason}`) };
}

/** One JSON object as a line. */
export function encodeLine(value: unknown): Uint8Array {
  return Buffer.from(`${JSON.stringify(value)}\r\n`);
}

/** Errors: BAD_COMMAND. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    // What is nested too deeply to be written again cannot be echoed.
    JSON.stringify(value);
    return value;
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "too deeply nested";
    throw new MigrationError("BAD_COMMAND", `JSON parse error, ${reason}`, { cause: error });
  }
}
