import { PAGE_SIZE } from "@peregrine/shared-state";
import type { PagesInPlace } from "@peregrine/shared-state";
import { TestRam } from "@peregrine/shared-state/testing";
import type { TestRamData } from "@peregrine/shared-state/testing";

/** Memory that keeps account of what was written to, as that of a WebAssembly program does. */
export class FreshRam extends TestRam {
  override readonly inPlace: (block: number) => PagesInPlace;
  readonly #data: TestRamData;
  /** Of each block: a byte for each page. */
  readonly #written: readonly Uint8Array[];

  constructor(data: TestRamData) {
    super(data);
    this.#data = data;
    this.#written = data.blocks.map(({ length }) => new Uint8Array(length / PAGE_SIZE));
    this.inPlace = (block) => ({
      memory: data.memory[block]!,
      heads: { memory: data.heads![block]!, at: 0 },
      reading: () => {},
      writing: (offset, count) => this.#write(block, offset, count),
      unwritten: (offset, count) => {
        const first = offset / PAGE_SIZE;
        const next = this.#written[block]!.subarray(first, first + count).indexOf(1);
        return next < 0 ? count : next;
      },
    });
  }

  memory(block: number): Uint8Array {
    return new Uint8Array(this.#data.memory[block]!.buffer, 0, this.blocks[block]!.length);
  }

  override writePages(block: number, offset: number, bytes: Uint8Array): void {
    this.#write(block, offset, bytes.length / PAGE_SIZE);
    super.writePages(block, offset, bytes);
  }

  override fillPages(block: number, offset: number, count: number, value: number): void {
    if (value !== 0) this.#write(block, offset, count);
    super.fillPages(block, offset, count, value);
  }

  #write(block: number, offset: number, count: number): void {
    const first = offset / PAGE_SIZE;
    this.#written[block]!.fill(1, first, first + count);
    this.use(block, first + count);
  }
}

/** Threads find it by its name. @public */
export const openRam = (data: unknown): FreshRam => new FreshRam(data as TestRamData);
