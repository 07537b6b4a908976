import { MULTIFD_PACKET_PAGES } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";

/** Pages of one RAM block, copied out of the guest, that go out together. */
export class PageBatch {
  /** The pages, one after the other. */
  readonly bytes = Buffer.allocUnsafeSlow(MULTIFD_PACKET_PAGES * PAGE_SIZE);
  /** Where in the block each of them is. */
  readonly offsets: number[] = [];
  /** Index of the block. */
  block = 0;

  get isEmpty(): boolean {
    return this.offsets.length === 0;
  }

  /** Bytes of the pages. */
  get length(): number {
    return this.offsets.length * PAGE_SIZE;
  }

  clear(): void {
    this.offsets.length = 0;
  }
}
