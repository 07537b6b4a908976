import { DEFAULT_LIMITS, RamDecoder, StreamDecoder } from "@peregrine/protocol";
import type {
  ListedRamBlock,
  PayloadDecoder,
  RamSink,
  SectionHeader,
  StreamHandler,
} from "@peregrine/protocol";
import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, RamBuilder } from "@peregrine/shared-state";
import { describe, expect, it } from "vitest";
import { fixture, fixtureFile, noRecordings, sha256 } from "../../protocol/test/fixtures.ts";
import { ImageMachine } from "./image-machine.ts";
import { buildRam } from "./image-memory.ts";

const CHUNK = 65_536;

/** Memory is complete: thrown at the first device section. */
class FirstDevice extends Error {}

/** Puts a stream's pages into an image. */
class ImageLoader implements StreamHandler, RamSink {
  readonly builder: RamBuilder;
  /** Pages of each block that were in the stream. */
  readonly pages: Set<number>[] = [];
  readonly #present = new Uint8Array(PAGE_SIZE);
  #mapped = false;

  constructor(builder: RamBuilder) {
    this.builder = builder;
  }

  configuration({ capabilities }: { readonly capabilities?: readonly string[] }): void {
    this.#mapped = capabilities?.includes("mapped-ram") === true;
  }

  open({ kind }: SectionHeader): PayloadDecoder {
    if (kind === "full") throw new FirstDevice();
    return new RamDecoder({ limits: DEFAULT_LIMITS, sink: this, blockListForm: { mapped: this.#mapped } });
  }

  mappedBlock(_: number, block: ListedRamBlock): void {
    this.#add(block);
  }

  blockList(blocks: readonly ListedRamBlock[]): void {
    for (const block of blocks.slice(this.pages.length)) this.#add(block);
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.builder.ram.fillPages(block, offset, 1, fill);
    this.pages[block]!.add(offset);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.builder.ram.writePages(block, offset, bytes);
    this.pages[block]!.add(offset);
  }

  presentPage(block: number, offset: number): Uint8Array {
    this.builder.ram.readPages(block, offset / PAGE_SIZE, 1, this.#present, 0);
    return this.#present;
  }

  command(): void {}

  endMark(): void {}

  vmDescription(): void {}

  #add(block: ListedRamBlock): void {
    this.builder.addBlock(block);
    this.pages.push(new Set());
  }
}

function load(stream: Uint8Array, loader: ImageLoader): void {
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: loader,
    configuration: "optional",
    footers: "detected",
  });
  for (let at = 0; at < stream.length; at += CHUNK) decoder.push(stream.subarray(at, at + CHUNK));
}

/** The block as a migration sends it: the pages that the log has. */
function sent(ram: GuestRam, block: number): Uint8Array {
  const dirty = ram.blocks.map(({ length }) => new DirtyBitmap(length / PAGE_SIZE));
  ram.harvest(dirty);
  const bytes = new Uint8Array(ram.blocks[block]!.length);
  for (const bitmap = dirty[block]!; ;) {
    const count = bitmap.takeRun(0, 64);
    if (count === 0) return bytes;
    ram.readPages(block, bitmap.runStart, count, bytes, bitmap.runStart * PAGE_SIZE);
  }
}

describe.skipIf(noRecordings)("an image of a machine recorded from real QEMU", () => {
  it.each([
    ["pc-100-dirty", "pc-100-dirty.stream.zst"],
    ["pc-72-xbzrle", "pc-72-xbzrle.stream.zst"],
    ["pc-100-mapped", "pc-100-mapped.mapped.zst"],
    ["pc20-72", "pc20-72.stream.zst"],
  ])("%s: has the memory that was recorded, and sends it", (name, file) => {
    const of = fixture(name);
    const machine = new ImageMachine();
    const loader = new ImageLoader(buildRam(machine.intake.memory.data));
    expect(() => load(fixtureFile(of, file), loader)).toThrow(FirstDevice);
    const { builder } = loader;
    const opening = { configuration: undefined, footers: true, early: [], uuid: undefined };
    machine.intake.opened(opening, builder.access());

    const { ram } = builder;
    const block = ram.blocks.findIndex((one) => one.name === of.ramBlock);
    const bytes = new Uint8Array(of.ramBytes);
    ram.readPages(block, 0, of.ramBytes / PAGE_SIZE, bytes, 0);
    expect(sha256(bytes)).toBe(of.ramSha256);
    expect(machine.memoryBytes).toBe(ram.blocks.reduce((sum, { length }) => sum + length, 0));
    expect(machine.summary?.pagesWithContents).toBe(loader.pages.reduce((sum, { size }) => sum + size, 0));
    expect(sha256(sent(ram, block))).toBe(of.ramSha256);
  });
});
