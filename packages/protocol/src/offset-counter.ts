import { WORD_BYTES } from "./kernels/page-kernel.ts";
import type { PageKernel } from "./kernels/page-kernel.ts";
import type { CountOffsets } from "./multifd-packet.ts";
import { MULTIFD_PACKET_PAGES } from "./multifd-packet.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/** Bytes of a kernel's work memory that counting the offsets of packets takes. */
export const OFFSET_COUNTER_BYTES = WORD_BYTES * MULTIFD_PACKET_PAGES;

/** @param kernel that counts; without it each word is looked at here. */
export function offsetCounter(kernel?: PageKernel): CountOffsets {
  if (kernel === undefined) return countOffsets;
  const words = kernel.take(OFFSET_COUNTER_BYTES);
  return (bytes, offset) => {
    kernel.bytes.set(bytes, words);
    return kernel.countOffsets(words, bytes.length / WORD_BYTES, offset);
  };
}

function countOffsets(bytes: Uint8Array, offset: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let n = 0;
  while (
    (n + 1) * WORD_BYTES <= bytes.length &&
    view.getBigUint64(n * WORD_BYTES) === BigInt(offset + n * WIRE_PAGE_SIZE)
  )
    n++;
  return n;
}
