import { MigrationError } from "./errors.ts";
import { decodeUtf8 } from "./utf8.ts";

const EMPTY = new Uint8Array(0);
const EMPTY_VIEW = new DataView(EMPTY.buffer);
const SMALLEST_CARRY = 256;
/** A carry that grew beyond this for one large item is freed when it is empty. */
const LARGEST_IDLE_CARRY = 1024 * 1024;

/**
 * A cursor over the chunks pushed into it. Reads are made in the chunk itself. Only the bytes left over
 * from the chunk before, and as many of the new one as complete the item they belong to, are copied.
 *
 * A read of more than {@link available} bytes throws TRUNCATED; decoders look first.
 */
export class ByteReader {
  /** The window: what is being read, either a pushed chunk or the carry. */
  #bytes: Uint8Array = EMPTY;
  #view: DataView = EMPTY_VIEW;
  #at = 0;
  #end = 0;
  /** Stream offset of the window's index 0. */
  #base = 0;
  /** Bytes copied from chunks that are gone. */
  #carry: Uint8Array = EMPTY;
  /** The pushed chunk, while the window is the carry. */
  #next: Uint8Array = EMPTY;
  #nextAt = 0;

  /** @param offset stream offset of the first byte to be pushed. */
  constructor(offset = 0) {
    this.#base = offset;
  }

  /** Bytes on hand. */
  get available(): number {
    return this.#end - this.#at + (this.#next.length - this.#nextAt);
  }

  /** Stream offset of the next byte. */
  get offset(): number {
    return this.#base + this.#at;
  }

  /** Adds a chunk. It is read in place: it must not change until {@link detach} or until it is read. */
  push(chunk: Uint8Array): void {
    this.detach();
    if (this.#at === this.#end) {
      this.#open(chunk, 0, chunk.length);
    } else {
      this.#next = chunk;
      this.#nextAt = 0;
    }
  }

  /** Copies the bytes not read yet, so that the chunk last pushed is free. Ends the life of all views. */
  detach(): void {
    if (this.#at === this.#end) this.#openNext();
    if (this.#at === this.#end) {
      this.#open(EMPTY, 0, 0);
      if (this.#carry.length > LARGEST_IDLE_CARRY) this.#carry = EMPTY;
      return;
    }
    if (this.#bytes === this.#carry) {
      if (this.#next === EMPTY) return;
      this.#append(this.#next.length - this.#nextAt);
      this.#next = EMPTY;
      this.#nextAt = 0;
      return;
    }
    const count = this.#end - this.#at;
    if (this.#carry.length < count) this.#carry = new Uint8Array(Math.max(SMALLEST_CARRY, 2 * count));
    this.#carry.set(this.#bytes.subarray(this.#at, this.#end));
    this.#open(this.#carry, 0, count);
  }

  u8(): number {
    this.#need(1);
    return this.#view.getUint8(this.#at++);
  }

  /** The next byte, which stays unread. */
  peekU8(): number {
    this.#need(1);
    return this.#view.getUint8(this.#at);
  }

  be16(): number {
    this.#need(2);
    const value = this.#view.getUint16(this.#at);
    this.#at += 2;
    return value;
  }

  be32(): number {
    this.#need(4);
    const value = this.#view.getUint32(this.#at);
    this.#at += 4;
    return value;
  }

  /** Errors: LIMIT_EXCEEDED above 2^53 - 1. */
  be64(): number {
    this.#need(8);
    const value = this.#view.getUint32(this.#at) * 2 ** 32 + this.#view.getUint32(this.#at + 4);
    if (value > Number.MAX_SAFE_INTEGER) {
      const text = this.#view.getBigUint64(this.#at).toString(16);
      throw new MigrationError("LIMIT_EXCEEDED", `the 64-bit number 0x${text} is too large`, {
        offset: this.offset,
      });
    }
    this.#at += 8;
    return value;
  }

  /** The next `count` bytes, without a copy where they lie in one chunk. Valid until the next push or detach. */
  view(count: number): Uint8Array {
    this.#need(count);
    const start = this.#at;
    this.#at += count;
    return this.#bytes.subarray(start, this.#at);
  }

  /** The next `count` bytes as a {@link view}, which stay unread. */
  peek(count: number): Uint8Array {
    this.#need(count);
    return this.#bytes.subarray(this.#at, this.#at + count);
  }

  /** As many bytes as can be had without a copy: at least 1, at most `max`. Valid as long as a {@link view}. */
  some(max: number): Uint8Array {
    this.#need(1);
    return this.view(Math.min(max, this.#end - this.#at));
  }

  /** Where the next byte is in `memory`, if the chunk that is being read lies there; otherwise -1. */
  placeIn(memory: Uint8Array): number {
    if (this.#bytes.buffer !== memory.buffer) return -1;
    return this.#bytes.byteOffset - memory.byteOffset + this.#at;
  }

  /** Bytes on hand that lie in one piece, from the next one on. */
  get contiguous(): number {
    return this.#end - this.#at;
  }

  /** Leaves out `count` of the {@link contiguous} bytes. Errors: INTERNAL when there are not so many. */
  skip(count: number): void {
    if (!(count >= 0 && count <= this.contiguous)) {
      throw new MigrationError("INTERNAL", `${count} bytes cannot be left out of ${this.contiguous}`);
    }
    this.#at += count;
  }

  /** Counts bytes that were read elsewhere. Errors: INTERNAL when others are on hand. */
  pass(count: number): void {
    if (this.available > 0 || !(count >= 0)) {
      throw new MigrationError("INTERNAL", `${count} bytes cannot come before ${this.available} on hand`);
    }
    this.#base += count;
  }

  /** Whether a counted string and `more` bytes behind it are on hand. */
  hasCounted(more = 0): boolean {
    return this.available > 0 && this.available >= 1 + this.peekU8() + more;
  }

  /** A length byte and that many bytes of UTF-8. Errors: BAD_SECTION; `what` names the text in the message. */
  counted(what: string): string {
    const { offset } = this;
    return decodeUtf8(this.view(this.u8()), what, offset);
  }

  /** Makes `count` bytes contiguous in the window. */
  #need(count: number): void {
    if (this.#end - this.#at >= count) return;
    if (this.available < count) {
      throw new MigrationError("TRUNCATED", `${count} bytes are needed and ${this.available} are on hand`, {
        offset: this.offset,
      });
    }
    if (this.#at === this.#end) {
      this.#openNext();
    } else {
      this.#append(count - (this.#end - this.#at));
    }
  }

  /** Moves `count` bytes of the next chunk to the end of the window, which is the carry. */
  #append(count: number): void {
    if (this.#carry.length - this.#end < count) {
      // A new carry, never a shift inside the old one: views into that one are still valid.
      const left = this.#end - this.#at;
      const grown = new Uint8Array(Math.max(SMALLEST_CARRY, 2 * (left + count)));
      grown.set(this.#carry.subarray(this.#at, this.#end));
      this.#carry = grown;
      this.#open(grown, 0, left);
    }
    if (count === 1) {
      // Input that comes byte by byte: making a view of each would take longer than all the rest.
      this.#carry[this.#end] = this.#next[this.#nextAt] ?? 0;
    } else {
      this.#carry.set(this.#next.subarray(this.#nextAt, this.#nextAt + count), this.#end);
    }
    this.#nextAt += count;
    this.#end += count;
  }

  #openNext(): void {
    const next = this.#next;
    const at = this.#nextAt;
    this.#next = EMPTY;
    this.#nextAt = 0;
    this.#open(next, at, next.length);
  }

  #open(bytes: Uint8Array, at: number, end: number): void {
    this.#base = this.offset - at;
    if (bytes !== this.#bytes) this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#bytes = bytes;
    this.#at = at;
    this.#end = end;
  }
}
