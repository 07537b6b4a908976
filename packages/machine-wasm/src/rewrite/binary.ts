/** Reading and writing of WebAssembly's binary primitives. The input was validated by the engine before. */

const utf8 = new TextDecoder();
const utf8Encoder = new TextEncoder();

export class BinaryReader {
  readonly bytes: Uint8Array;
  position: number;

  constructor(bytes: Uint8Array, position = 0) {
    this.bytes = bytes;
    this.position = position;
  }

  u8(): number {
    return this.bytes[this.position++]!;
  }

  /** Unsigned LEB128, 32 bits. */
  u32(): number {
    const { bytes } = this;
    let byte = bytes[this.position++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let shift = 7;
    do {
      byte = bytes[this.position++]!;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    return value >>> 0;
  }

  /** Signed LEB128, 32 bits. */
  s32(): number {
    const { bytes } = this;
    let value = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = bytes[this.position++]!;
      value |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    return shift < 32 && (byte & 0x40) !== 0 ? value | (-1 << shift) : value;
  }

  /** Steps over one LEB128 integer of any width. */
  skipLeb(): void {
    while (this.bytes[this.position++]! >= 0x80);
  }

  slice(length: number): Uint8Array {
    const part = this.bytes.subarray(this.position, this.position + length);
    this.position += length;
    return part;
  }

  name(): string {
    return utf8.decode(this.slice(this.u32()));
  }
}

export class BinaryWriter {
  #bytes: Uint8Array;
  length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
  }

  /** Makes room for so many more bytes. Who writes looks first whether there is: a call for each number takes longer. */
  #grow(count: number): void {
    const grown = new Uint8Array(Math.max(this.length + count, this.#bytes.length * 2));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  u8(value: number): this {
    if (this.length === this.#bytes.length) this.#grow(1);
    this.#bytes[this.length++] = value;
    return this;
  }

  /** Two bytes. */
  pair(first: number, second: number): this {
    if (this.length + 2 > this.#bytes.length) this.#grow(2);
    const bytes = this.#bytes;
    bytes[this.length++] = first;
    bytes[this.length++] = second;
    return this;
  }

  u32(value: number): this {
    if (this.length + 5 > this.#bytes.length) this.#grow(5);
    const bytes = this.#bytes;
    let at = this.length;
    let rest = value >>> 0;
    while (rest >= 0x80) {
      bytes[at++] = (rest & 0x7f) | 0x80;
      rest >>>= 7;
    }
    bytes[at++] = rest;
    this.length = at;
    return this;
  }

  s32(value: number): this {
    if (this.length + 5 > this.#bytes.length) this.#grow(5);
    let rest = value | 0;
    for (;;) {
      const byte = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && byte < 0x40) || (rest === -1 && byte >= 0x40)) {
        this.#bytes[this.length++] = byte;
        return this;
      }
      this.#bytes[this.length++] = byte | 0x80;
    }
  }

  raw(bytes: Uint8Array): this {
    if (this.length + bytes.length > this.#bytes.length) this.#grow(bytes.length);
    this.#bytes.set(bytes, this.length);
    this.length += bytes.length;
    return this;
  }

  /** Copies `source[from, to)`: short instruction runs, where a subarray and set() would cost more than the bytes. */
  copy(source: Uint8Array, from: number, to: number): this {
    const count = to - from;
    if (count > 48) return this.raw(source.subarray(from, to));
    if (this.length + count > this.#bytes.length) this.#grow(count);
    const target = this.#bytes;
    let at = this.length;
    for (let index = from; index < to; index++) target[at++] = source[index]!;
    this.length = at;
    return this;
  }

  name(text: string): this {
    const bytes = utf8Encoder.encode(text);
    return this.u32(bytes.length).raw(bytes);
  }

  /** A vector's bytes with their length in front. */
  sized(body: BinaryWriter): this {
    return this.u32(body.length).raw(body.view());
  }

  view(): Uint8Array {
    return this.#bytes.subarray(0, this.length);
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.length);
  }

  reset(): this {
    this.length = 0;
    return this;
  }
}
