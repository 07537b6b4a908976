import { MigrationError, ramBlockSizeMismatch, unknownRamBlock } from "@peregrine/protocol";
import type { RamBlockEntry, RamSink } from "@peregrine/protocol";
import type { GuestRam } from "@peregrine/shared-state";
import type { IncomingStatistics } from "./incoming-statistics.ts";

/** Writes decoded pages straight into guest memory. */
export class RamLoader implements RamSink {
  readonly #ram: GuestRam;
  readonly #statistics: IncomingStatistics;
  /** The machine's index of each block, by its index in the stream's list. */
  #blocks: readonly number[] | undefined;

  constructor(ram: GuestRam, statistics: IncomingStatistics) {
    this.#ram = ram;
    this.#statistics = statistics;
  }

  /** Errors: BAD_RAM_BLOCK unless the stream has exactly the machine's blocks, in any order. */
  blockList(entries: readonly RamBlockEntry[]): void {
    const { blocks } = this.#ram;
    this.#blocks = entries.map(({ name, length }) => {
      const index = blocks.findIndex((block) => block.name === name);
      const block = blocks[index];
      if (block === undefined) throw unknownRamBlock(name);
      if (length !== block.length) throw ramBlockSizeMismatch(name, length, block.length);
      return index;
    });
    const missing = blocks.find((block) => !entries.some((entry) => entry.name === block.name));
    if (missing !== undefined) {
      throw new MigrationError(
        "BAD_RAM_BLOCK",
        `RAM block "${missing.name}" is missing in the stream, cannot accept migration`,
      );
    }
  }

  /** Errors: BAD_RAM_BLOCK when the payload of `ram` is over without a list of blocks. */
  requireBlockList(): void {
    if (this.#blocks !== undefined) return;
    throw new MigrationError("BAD_RAM_BLOCK", "Section 'ram' has no list of RAM blocks");
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.#ram.fillPage(this.#indexOf(block), offset, fill);
    this.#statistics.addZeroPage();
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.#ram.writePages(this.#indexOf(block), offset, bytes);
    this.#statistics.addPage();
  }

  #indexOf(block: number): number {
    const index = this.#blocks?.[block];
    if (index === undefined) throw new MigrationError("INTERNAL", `RAM block ${block} is not in the list`);
    return index;
  }
}
