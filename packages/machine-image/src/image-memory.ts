import { MigrationError } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { BuildRam, GuestRam, RamAccess, RamBlock, RamBuilder } from "@peregrine/shared-state";
import { ImageRam } from "./image-ram.ts";
import type { ImageBlock, ImageRamData } from "./image-ram.ts";
import { PageLog } from "./page-log.ts";

/** Bytes of all blocks together: their pages are counted in 32 bits. */
const MAX_IMAGE_BYTES = 4 * 1024 ** 4;

/** Makes the memory of an image, block by block. */
class ImageRamBuilder implements RamBuilder {
  readonly ram: ImageRam;
  readonly #backlog: SharedArrayBuffer;
  readonly #blocks: ImageBlock[] = [];
  #bytes = 0;

  constructor(data: ImageRamData) {
    this.ram = new ImageRam(data);
    this.#backlog = data.backlog;
  }

  /** Errors: BAD_RAM_BLOCK for a length that is not in pages; LIMIT_EXCEEDED when there is not so much memory. */
  addBlock({ name, length }: RamBlock): void {
    if (length % PAGE_SIZE !== 0) {
      const text = `RAM block '${name}' cannot be accepted: its length ${length} is not a multiple of ${PAGE_SIZE}`;
      throw new MigrationError("BAD_RAM_BLOCK", text);
    }
    this.#bytes += length;
    if (this.#bytes > MAX_IMAGE_BYTES) {
      const text = `RAM block '${name}' of ${length} bytes makes the image larger than ${MAX_IMAGE_BYTES} bytes, the most that can be held`;
      throw new MigrationError("LIMIT_EXCEEDED", text);
    }
    const block = allocate(name, length);
    this.#blocks.push(block);
    this.ram.addBlock(block);
  }

  access(): RamAccess {
    return accessTo({ backlog: this.#backlog, blocks: [...this.#blocks] });
  }

  room(): Promise<void> | undefined {
    return this.ram.room();
  }
}

function allocate(name: string, length: number): ImageBlock {
  try {
    return {
      name,
      length,
      memory: new SharedArrayBuffer(length),
      log: new SharedArrayBuffer(PageLog.bytesFor(length / PAGE_SIZE)),
    };
  } catch (cause) {
    const text = `RAM block '${name}' needs ${length} bytes of memory, which cannot be had on this host`;
    throw new MigrationError("LIMIT_EXCEEDED", text, { cause });
  }
}

/** How the threads that use the memory get at it: this module is the one that they import. */
export function accessTo(data: ImageRamData): RamAccess {
  return { module: new URL("image-memory.ts", import.meta.url).href, data };
}

/** Makes the memory in the thread that reads the stream; see MachineIntake. */
export const buildRam: BuildRam = (data) => new ImageRamBuilder(data as ImageRamData);

/** Opens the memory in another thread; see RamAccess. */
export const openRam = (data: unknown): GuestRam => new ImageRam(data as ImageRamData);
