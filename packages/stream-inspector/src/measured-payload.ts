import type { ByteReader, PayloadDecoder } from "@peregrine/protocol";

/** Notes where a payload ends, which nobody is told otherwise. */
export class MeasuredPayload implements PayloadDecoder {
  readonly #decoder: PayloadDecoder;
  /** Offset in the stream behind the payload read last. */
  end = 0;

  constructor(decoder: PayloadDecoder) {
    this.#decoder = decoder;
  }

  get awaiting(): string {
    return this.#decoder.awaiting ?? "the payload of the section";
  }

  decode(input: ByteReader): boolean {
    if (!this.#decoder.decode(input)) return false;
    this.end = input.offset;
    return true;
  }
}
