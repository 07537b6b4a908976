import type { ByteReader } from "./byte-reader.ts";

/** Reads the payload of one section, piece by piece as it arrives. */
export interface PayloadDecoder {
  /**
   * Consumes what it can. Called again with more bytes until it returns true, and never with a view
   * or a position kept from before: what is not consumed is offered again.
   * @returns true when the payload is complete.
   */
  decode(input: ByteReader): boolean;
  /** What it waits for, for the message of a truncated stream: `a page of 4096 bytes`. */
  readonly awaiting?: string;
}
