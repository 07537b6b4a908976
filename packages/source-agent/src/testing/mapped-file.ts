import { DEFAULT_LIMITS, isMapped, RamDecoder, readMappedBlock, StreamDecoder } from "@peregrine/protocol";
import type { Configuration, ListedRamBlock, MappedPageSink } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";

/** What a mapped-ram file holds. */
export interface MappedFile {
  readonly configuration: Configuration | undefined;
  readonly blocks: readonly ListedRamBlock[];
  /** By block. */
  readonly memory: readonly Uint8Array[];
  /** Where the START section of memory ends, from the start of the file. */
  readonly memoryEnd: number;
  /** The kinds of the sections of memory, in their order. */
  readonly sections: readonly string[];
  /** The names of the other sections. */
  readonly devices: readonly string[];
}

/** Reads a file from its start to its end. */
export function readMappedFile(bytes: Uint8Array, offset = 0): MappedFile {
  const memory: Uint8Array[] = [];
  const blocks: ListedRamBlock[] = [];
  const sections: string[] = [];
  const devices: string[] = [];
  let configuration: Configuration | undefined;
  const fill = new Filler(memory);
  const ram = new RamDecoder({
    limits: DEFAULT_LIMITS,
    blockListForm: { mapped: true },
    fileOffset: offset,
    sink: {
      page: (block, at, page) => fill.page(block, at, page),
      zeroPage: (block, at) => fill.zeroPage(block, at),
      mappedBlock: (_block, { length }) => memory.push(new Uint8Array(length).fill(0xaa)),
      blockList: (list) => blocks.push(...list),
    },
  });
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    configuration: "optional",
    footers: "detected",
    handler: {
      configuration: (found) => {
        configuration = found;
      },
      open: ({ name }) => (name === "ram" ? ram : { payload: () => void devices.push(name) }),
      close: ({ name, kind }) => {
        if (name === "ram") sections.push(kind);
      },
      command: () => {},
      endMark: () => {},
      vmDescription: () => {},
    },
  });
  decoder.push(bytes.subarray(offset));
  const last = blocks.at(-1)!;
  const memoryEnd = last.mapped!.pagesOffset + last.length;
  return { configuration, blocks, memory, memoryEnd, sections, devices };
}

/** Reads the memory of the same file by the places that the list of blocks tells. */
export async function readByPlaces(
  bytes: Uint8Array,
  blocks: readonly ListedRamBlock[],
): Promise<Uint8Array[]> {
  const memory = blocks.map(({ length }) => new Uint8Array(length).fill(0xaa));
  const fill = new Filler(memory);
  for (const [index, { length, mapped }] of blocks.entries()) {
    if (mapped === undefined || !isMapped(mapped)) throw new Error(`block ${index} is not in the file`);
    await readMappedBlock({ index, length, header: mapped }, DEFAULT_LIMITS, fill, async (offset, target) => {
      target.set(bytes.subarray(offset, offset + target.length));
    });
  }
  return memory;
}

class Filler implements MappedPageSink {
  readonly #memory: readonly Uint8Array[];

  constructor(memory: readonly Uint8Array[]) {
    this.#memory = memory;
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.#memory[block]!.set(bytes, offset);
  }

  zeroPage(block: number, offset: number): void {
    this.#memory[block]!.fill(0, offset, offset + PAGE_SIZE);
  }
}
