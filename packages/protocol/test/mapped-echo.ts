import { expect } from "vitest";
import {
  DEFAULT_LIMITS,
  encodeRamBlockEntry,
  encodeRamTotal,
  MAPPED_RAM_HEADER_BYTES,
  mappedBitmapBytes,
  placeMappedBlock,
  RamDecoder,
  setMappedPage,
} from "../src/index.ts";
import type { ListedRamBlock, PayloadDecoder } from "../src/index.ts";
import { WholeEcho } from "./whole-echo.ts";
import { written } from "./support.ts";

/** Encodes a mapped-ram file again: every page and every bitmap at its place. */
export class MappedEcho extends WholeEcho {
  zeroPages = 0;
  override blocks: readonly ListedRamBlock[] = [];
  readonly #mapped = new RamDecoder({ limits: DEFAULT_LIMITS, sink: this, blockListForm: { mapped: true } });
  readonly #entries: ListedRamBlock[] = [];
  /** Where the total of all blocks goes, which is in front of the first entry. */
  #totalAt = 0;

  protected override live(): PayloadDecoder {
    return this.#mapped;
  }

  mappedBlock(index: number, entry: ListedRamBlock): void {
    if (index === 0) {
      this.#totalAt = this.w.length;
      this.w.be64(0);
    }
    encodeRamBlockEntry(this.w, entry);
    const { header, end } = placeMappedBlock(this.w.length - MAPPED_RAM_HEADER_BYTES, entry.length);
    expect(entry.mapped).toEqual(header);
    this.w.bytes(new Uint8Array(end - this.w.length));
    this.#entries.push(entry);
    this.memory.push(new Uint8Array(entry.length).fill(0xaa));
  }

  override blockList(blocks: readonly ListedRamBlock[]): void {
    this.blocks = [...blocks];
    const total = written((w) => encodeRamTotal(w, blocks));
    this.w.view().set(total, this.#totalAt);
  }

  override zeroPage(block: number, offset: number, fill: number): void {
    this.zeroPages += 1;
    this.memory[block]!.fill(fill, offset, offset + 4096);
  }

  override page(block: number, offset: number, bytes: Uint8Array): void {
    const { length, mapped } = this.#entries[block]!;
    const { bitmapOffset, pagesOffset } = mapped!;
    const file = this.w.view();
    file.set(bytes, pagesOffset + offset);
    const bitmap = file.subarray(bitmapOffset, bitmapOffset + mappedBitmapBytes(length));
    setMappedPage(bitmap, offset / 4096, true);
    this.memory[block]!.set(bytes, offset);
  }
}
