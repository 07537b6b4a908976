import type { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import { MappedPagesDecoder } from "./mapped-ram-reader.ts";
import type { MappedPageSink } from "./mapped-ram-reader.ts";
import { decodeMappedRamHeader, isMapped, MAPPED_RAM_HEADER_BYTES } from "./mapped-ram.ts";
import type { MappedRamHeader } from "./mapped-ram.ts";
import type { RamBlockEntry } from "./messages.ts";
import { limitExceeded, tooMuchRam } from "./refusals.ts";
import { RAM_SECTION, WIRE_PAGE_SIZE } from "./wire.ts";

/** An entry of the RAM block list with what the longer forms add. */
export interface ListedRamBlock extends RamBlockEntry {
  /** Bytes of a page of the memory behind the block, for postcopy. */
  readonly pageSize?: number;
  /** Guest physical address, with the capability `x-ignore-shared`. */
  readonly address?: number;
  /** With the capability `mapped-ram`. */
  readonly mapped?: MappedRamHeader;
}

/**
 * What the entries of the list hold. Nothing in the list tells; both ends know it from capabilities
 * and, for page sizes, from their own memory. Default: name and length only.
 */
export interface RamBlockListForm {
  /** True for blocks whose page size is sent: postcopy is on, and it is not the host's page size. */
  readonly carriesPageSize?: (name: string) => boolean;
  /** True with `x-ignore-shared`. */
  readonly addresses?: boolean;
  /** True with `mapped-ram`: pages lie between the entries. */
  readonly mapped?: boolean;
}

/** Takes what comes before the list is complete. */
export interface RamBlockListSink extends MappedPageSink {
  /** A block of a mapped-ram file, in front of its pages. Without this method such files are refused. */
  mappedBlock?(block: number, entry: ListedRamBlock): void;
}

type Step =
  | { readonly step: "head" }
  | { readonly step: "details"; readonly name: string; readonly length: number }
  | { readonly step: "pages"; readonly decoder: MappedPagesDecoder };

export interface RamBlockListOptions {
  readonly limits: Limits;
  readonly form: RamBlockListForm;
  /** Offset in its file of the stream's first byte. */
  readonly fileOffset: number;
  readonly sink: RamBlockListSink;
}

/** Reads the entries of the RAM block list, and the pages between them in a mapped-ram file. */
export class RamBlockListDecoder {
  readonly blocks: ListedRamBlock[] = [];
  readonly #options: RamBlockListOptions;
  readonly #indexByName = new Map<string, number>();
  #step: Step = { step: "head" };
  #started = false;
  /** Bytes of the announced total that the entries read so far leave. */
  #unlisted = 0;
  /** Stream offset of the entry being read. */
  #entryAt = 0;

  constructor(options: RamBlockListOptions) {
    this.#options = options;
  }

  get awaiting(): string {
    return this.#step.step === "pages" ? this.#step.decoder.awaiting : "an entry of the RAM block list";
  }

  /** The index of a block, undefined when it is not in the list. */
  find(name: string): number | undefined {
    return this.#indexByName.get(name);
  }

  /** @param total bytes of all blocks. @param at stream offset of the word that says so. */
  start(total: number, at: number): void {
    this.#entryAt = at;
    if (this.#started) {
      throw new MigrationError("BAD_RAM_BLOCK", "The RAM block list came twice", this.#place());
    }
    const { maxRamBytes } = this.#options.limits;
    if (total > maxRamBytes) throw tooMuchRam(total, maxRamBytes, this.#place());
    this.#started = true;
    this.#unlisted = total;
  }

  /** @returns true when the list is complete. */
  decode(input: ByteReader): boolean {
    for (;;) {
      switch (this.#step.step) {
        case "head":
          if (this.#unlisted === 0) return true;
          if (!input.hasCounted(8)) return false;
          this.#head(input);
          break;
        case "details":
          if (input.available < this.#detailBytes(this.#step.name)) return false;
          this.#details(this.#step, input);
          break;
        case "pages":
          if (!this.#step.decoder.decode(input)) return false;
          this.#step = { step: "head" };
          break;
      }
    }
  }

  #head(input: ByteReader): void {
    this.#entryAt = input.offset;
    const name = input.counted("the name of a RAM block");
    const length = input.be64();
    const { maxRamBlocks } = this.#options.limits;
    if (this.blocks.length >= maxRamBlocks) {
      throw limitExceeded("RAM blocks", this.blocks.length + 1, maxRamBlocks, this.#place());
    }
    if (length % WIRE_PAGE_SIZE !== 0) {
      throw this.#bad(name, `its length 0x${length.toString(16)} is not a multiple of the page size`);
    }
    if (length > this.#unlisted) {
      throw this.#bad(name, `its length 0x${length.toString(16)} goes beyond the total of the list`);
    }
    if (this.#indexByName.has(name)) throw this.#bad(name, "it is in the list twice");
    this.#step = { step: "details", name, length };
  }

  #detailBytes(name: string): number {
    const { carriesPageSize, addresses, mapped } = this.#options.form;
    return (
      (carriesPageSize?.(name) === true ? 8 : 0) +
      (addresses === true ? 8 : 0) +
      (mapped === true ? MAPPED_RAM_HEADER_BYTES : 0)
    );
  }

  #details({ name, length }: { readonly name: string; readonly length: number }, input: ByteReader): void {
    const { form, fileOffset, limits, sink } = this.#options;
    const index = this.blocks.length;
    const pageSize = form.carriesPageSize?.(name) === true ? { pageSize: input.be64() } : {};
    const address = form.addresses === true ? { address: input.be64() } : {};
    const mapped = form.mapped === true ? this.#mappedHeader(input, name, length) : undefined;
    const entry: ListedRamBlock = {
      name,
      length,
      ...pageSize,
      ...address,
      ...(mapped === undefined ? {} : { mapped }),
    };
    this.#indexByName.set(name, index);
    this.blocks.push(entry);
    this.#unlisted -= length;
    this.#step = { step: "head" };
    if (mapped === undefined) return;
    if (sink.mappedBlock === undefined) throw this.#bad(name, "a mapped-ram file cannot be read here");
    sink.mappedBlock(index, entry);
    if (!isMapped(mapped)) return;
    const position = fileOffset + input.offset;
    const decoder = new MappedPagesDecoder({ index, length, header: mapped }, position, limits, sink);
    this.#step = { step: "pages", decoder };
  }

  #mappedHeader(input: ByteReader, name: string, length: number): MappedRamHeader {
    const end = this.#options.fileOffset + input.offset + MAPPED_RAM_HEADER_BYTES;
    return decodeMappedRamHeader(input, end, { name, length }, this.#place());
  }

  #bad(name: string, why: string): MigrationError {
    return new MigrationError(
      "BAD_RAM_BLOCK",
      `RAM block '${name}' cannot be accepted: ${why}`,
      this.#place(),
    );
  }

  #place(): { offset: number; section: string } {
    return { offset: this.#entryAt, section: RAM_SECTION.name };
  }
}
