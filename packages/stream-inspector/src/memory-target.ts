import type { ListedRamBlock } from "@peregrine/protocol";

/** Takes the contents of guest memory. Offsets are in bytes in the block with the index. */
export interface MemoryTarget {
  /** A block, in the order of the list, before any page of it. */
  block(index: number, entry: ListedRamBlock): void;
  /** The list is complete. Throws when what is wanted is not in it. */
  listed(): void;
  /** Whether the contents of this block are wanted. */
  wants(block: number): boolean;
  /** `bytes` is valid during the call only. */
  page(block: number, offset: number, bytes: Uint8Array): void;
  zeroPage(block: number, offset: number, fill: number): void;
  /** The page as it is now, for a delta to be applied to a copy of it. */
  presentPage(block: number, offset: number): Uint8Array;
}
