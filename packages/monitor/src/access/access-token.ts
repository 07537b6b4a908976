import { createHash, timingSafeEqual } from "node:crypto";

/**
 * What a monitor's client has to know. Only a hash is kept, so that the token itself cannot come to light by an error
 * text, a report or a dump.
 */
export class AccessToken {
  readonly #hash: Buffer;

  constructor(token: string) {
    this.#hash = hashOf(token);
  }

  /** Takes as long for any text of the same length. */
  matches(text: string): boolean {
    return timingSafeEqual(this.#hash, hashOf(text));
  }
}

function hashOf(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}
