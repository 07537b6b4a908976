/** Bytes in front of the contents of a record: its type, a version, and a length in 16 bits. */
const HEADER_BYTES = 5;

/** Type of records that are encrypted. In TLS 1.3 those of the handshake are such, too, as soon as there are keys. */
const PROTECTED = 23;

/** Finds the first encrypted record in what one side of TLS sends, however that is cut. */
export class ProtectedRecords {
  /** Of the header that is being read. */
  readonly #header = Buffer.alloc(HEADER_BYTES);
  #headerBytes = 0;
  /** Bytes that are left of the contents of a record. */
  #left = 0;
  #found = false;

  /** @returns whether the record has begun, in these bytes or before. */
  next(bytes: Uint8Array): boolean {
    for (let at = 0; at < bytes.length && !this.#found;) {
      if (this.#left > 0) {
        const skipped = Math.min(this.#left, bytes.length - at);
        this.#left -= skipped;
        at += skipped;
        continue;
      }
      this.#header[this.#headerBytes++] = bytes[at++]!;
      this.#found = this.#header[0] === PROTECTED;
      if (this.#headerBytes < HEADER_BYTES) continue;
      this.#headerBytes = 0;
      this.#left = this.#header.readUInt16BE(HEADER_BYTES - 2);
    }
    return this.#found;
  }
}
