import { MigrationError } from "./errors.ts";
import { encodeUtf8 } from "./utf8.ts";

const FIRST_CAPACITY = 256;

/** Builds messages in one growable buffer that is used again after {@link reset}. */
export class ByteWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  constructor(capacity = FIRST_CAPACITY) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written since the last reset. */
  get length(): number {
    return this.#length;
  }

  /** What was written. Valid until the next write. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Forgets what was written and keeps the buffer. */
  reset(): void {
    this.#length = 0;
  }

  u8(value: number): void {
    requireInteger(value, 0xff);
    this.room(1)[this.#length++] = value;
  }

  be16(value: number): void {
    requireInteger(value, 0xffff);
    this.room(2);
    this.#view.setUint16(this.#length, value);
    this.#length += 2;
  }

  be32(value: number): void {
    requireInteger(value, 0xffff_ffff);
    this.room(4);
    this.#view.setUint32(this.#length, value);
    this.#length += 4;
  }

  be64(value: number): void {
    requireInteger(value, Number.MAX_SAFE_INTEGER);
    this.room(8);
    this.#view.setUint32(this.#length, Math.floor(value / 2 ** 32));
    this.#view.setUint32(this.#length + 4, value % 2 ** 32);
    this.#length += 8;
  }

  bytes(view: Uint8Array): void {
    this.room(view.length).set(view, this.#length);
    this.#length += view.length;
  }

  /** A length byte and the text as UTF-8. Errors: INTERNAL above 255 bytes. */
  counted(text: string): void {
    const encoded = encodeUtf8(text);
    if (encoded.length > 255) {
      throw new MigrationError("INTERNAL", `the name '${text}' is longer than the 255 bytes that fit`);
    }
    this.u8(encoded.length);
    this.bytes(encoded);
  }

  /**
   * The buffer itself, with room for `count` bytes from index {@link length} on. Whoever writes into
   * it says with {@link advance} where it stopped.
   */
  room(count: number): Uint8Array {
    const needed = this.#length + count;
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length));
      grown.set(this.view());
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    return this.#bytes;
  }

  /** Counts what was written into {@link room} up to index `end`. */
  advance(end: number): void {
    if (end < this.#length || end > this.#bytes.length) {
      throw new MigrationError("INTERNAL", `the writer cannot advance from ${this.#length} to ${end}`);
    }
    this.#length = end;
  }
}

function requireInteger(value: number, max: number): void {
  if (!Number.isInteger(value) || value < 0 || value > max) {
    throw new MigrationError("INTERNAL", `${value} is not an integer from 0 to ${max}`);
  }
}
