import { MigrationError, PLACE_BYTES, putPlace } from "@peregrine/protocol";

const WORDS = PLACE_BYTES / Uint32Array.BYTES_PER_ELEMENT;

/**
 * What is to be written, in the order of the places of memory that it lies in: a vector of `writev`. The bytes are read when
 * they are written, so whoever fills the vector sees to it that the memory stays, and that its bytes may change until then.
 */
export class GatherList {
  readonly #words: Uint32Array;
  readonly #bytes: Uint8Array;
  #first = 0;
  #end = 0;
  #length = 0;

  /**
   * @param vector where the entries are put, of PLACE_BYTES each: an address, as `Gathering.addressOf` says, and a length
   *   below 2^32. It begins at a multiple of four bytes.
   */
  constructor(vector: Uint8Array) {
    this.#bytes = vector;
    this.#words = new Uint32Array(vector.buffer, vector.byteOffset, Math.floor(vector.length / 4));
  }

  /** Bytes that are still to be written. */
  get length(): number {
    return this.#length;
  }

  /** Places that are still to be written from; the first one may be the rest of one. */
  get places(): number {
    return this.#end - this.#first;
  }

  /** Their entries. Valid until the list is changed. */
  get vector(): Uint8Array {
    return this.#bytes.subarray(this.#first * PLACE_BYTES, this.#end * PLACE_BYTES);
  }

  /**
   * Where the first byte is that is still to be written, and how many are in the same place.
   * Errors: INTERNAL when there is none.
   */
  get first(): { readonly address: number; readonly length: number } {
    if (this.places === 0) throw new MigrationError("INTERNAL", "nothing is left of what is gathered");
    return { address: this.#addressOf(this.#first), length: this.#lengthOf(this.#first) };
  }

  /**
   * So many entries were put into the vector, from its start on.
   * @param length of all of them together. Errors: INTERNAL when there is no room for so many.
   */
  set(places: number, length: number): void {
    if (!(places >= 0 && places * PLACE_BYTES <= this.#bytes.length)) {
      throw new MigrationError("INTERNAL", `${places} places are more than there is room for`);
    }
    this.#first = 0;
    this.#end = places;
    this.#length = length;
  }

  /** Takes away what was written. Errors: INTERNAL when it is more than there is. */
  advance(written: number): void {
    if (!(written >= 0 && written <= this.#length)) {
      throw new MigrationError("INTERNAL", `${written} bytes are more than were gathered`);
    }
    this.#length -= written;
    if (this.#length === 0) {
      this.#first = this.#end;
      return;
    }
    // Thousands of them in each write, so nothing is called for one.
    const words = this.#words;
    let rest = written;
    let first = this.#first;
    for (let at = first * WORDS + 2, length = words[at]!; rest >= length; length = words[at]!) {
      rest -= length;
      at += WORDS;
      first++;
    }
    this.#first = first;
    if (rest > 0)
      putPlace(
        this.#words,
        this.#first,
        this.#addressOf(this.#first) + rest,
        this.#lengthOf(this.#first) - rest,
      );
  }

  #addressOf(index: number): number {
    return this.#words[index * WORDS]! + this.#words[index * WORDS + 1]! * 2 ** 32;
  }

  #lengthOf(index: number): number {
    return this.#words[index * WORDS + 2]!;
  }
}
