import { MigrationError, ramBlockSizeMismatch, unknownRamBlock } from "@peregrine/protocol";
import type { RamBlockEntry } from "@peregrine/protocol";
import type { GuestRam, RamAccess, RamBuilder } from "@peregrine/shared-state";

/** Where the blocks of a stream's list are in guest memory. */
export interface GuestBlocks {
  readonly ram: GuestRam;
  /** How other threads get at it. */
  access(): RamAccess;
  /** The index in guest memory of a block that is in the list. Errors: BAD_RAM_BLOCK, LIMIT_EXCEEDED. */
  place(entry: RamBlockEntry): number;
  /** The list is complete. Errors: BAD_RAM_BLOCK when it is not that of the machine. */
  complete(): void;
  /** Undefined when more may be written at once; see RamBuilder. */
  room(): Promise<void> | undefined;
}

/** Guest memory as this thread sees it, and how others get at it. */
export interface OpenedRam {
  readonly ram: GuestRam;
  readonly access: RamAccess;
}

/** The memory of a machine that is known: the list has to have exactly its blocks, in any order. */
export class KnownBlocks implements GuestBlocks {
  readonly ram: GuestRam;
  readonly #access: RamAccess;
  readonly #placed = new Set<number>();

  constructor({ ram, access }: OpenedRam) {
    this.ram = ram;
    this.#access = access;
  }

  access(): RamAccess {
    return this.#access;
  }

  place({ name, length }: RamBlockEntry): number {
    const index = this.ram.blocks.findIndex((block) => block.name === name);
    const block = this.ram.blocks[index];
    if (block === undefined) throw unknownRamBlock(name);
    if (length !== block.length) throw ramBlockSizeMismatch(name, length, block.length);
    this.#placed.add(index);
    return index;
  }

  complete(): void {
    const missing = this.ram.blocks.find((_, index) => !this.#placed.has(index));
    if (missing === undefined) return;
    throw new MigrationError(
      "BAD_RAM_BLOCK",
      `RAM block "${missing.name}" is missing in the stream, cannot accept migration`,
    );
  }

  room(): undefined {
    return undefined;
  }
}

/** Memory that is made as the list says. */
export class BuiltBlocks implements GuestBlocks {
  readonly #builder: RamBuilder;
  #readable = false;

  constructor(builder: RamBuilder) {
    this.#builder = builder;
  }

  get ram(): GuestRam {
    return this.#builder.ram;
  }

  access(): RamAccess {
    return this.#builder.access();
  }

  place({ name, length }: RamBlockEntry): number {
    this.#builder.addBlock({ name, length });
    return this.#builder.ram.blocks.length - 1;
  }

  complete(): void {
    // Any list will do.
  }

  /** Others have been given the memory. Before that nobody could make room in it. */
  handedOut(): void {
    this.#readable = true;
  }

  room(): Promise<void> | undefined {
    return this.#readable ? this.#builder.room() : undefined;
  }
}
