import type { ByteReader } from "./byte-reader.ts";
import type { CutBy } from "./device-tail.ts";

/** Reads the payload of one section, piece by piece as it arrives. */
export interface PayloadDecoder {
  /**
   * Consumes what it can. Called again when more bytes have come, until it returns true. Bytes that it
   * leaves are offered again; views do not outlive the call.
   * @returns true when the payload is complete.
   */
  decode(input: ByteReader): boolean;
  /**
   * Bytes that are missing until a record begins of which nothing is on hand: 0 when nothing was read in part. Undefined when
   * nothing tells. Only a hint if there are any: the record on hand may be another one than the one that is expected.
   * @param available bytes on hand that were not consumed.
   */
  bytesToRecord?(available: number): number | undefined;
  /** What it waits for, for the message of a truncated stream: `a page of 4096 bytes`. */
  readonly awaiting?: string;
}

/**
 * Takes the payload of a device section whole. The wire does not tell how long it is: the stream decoder
 * holds it until the vmdescription or a footer does. Only for FULL sections.
 */
export interface OpaqueDevice {
  /** @param payload valid during the call only. @param by what told its length. */
  payload(payload: Uint8Array, by: CutBy): void;
  /**
   * Takes everything up to the end mark, from this section's payload on, when nothing in the stream tells where
   * sections end. Without it such a stream is refused. Neither `payload` nor StreamHandler.close is called then.
   */
  undivided?(bytes: Uint8Array): void;
}
