import type { ByteReader } from "./byte-reader.ts";

/** Reads the payload of one section, piece by piece as it arrives. */
export interface PayloadDecoder {
  /**
   * Consumes what it can. Called again when more bytes have come, until it returns true. Bytes that it
   * leaves are offered again; views do not outlive the call.
   * @returns true when the payload is complete.
   */
  decode(input: ByteReader): boolean;
  /** What it waits for, for the message of a truncated stream: `a page of 4096 bytes`. */
  readonly awaiting?: string;
}
