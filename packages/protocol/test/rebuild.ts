import { expect } from "vitest";
import { RamDecoder, StreamDecoder, DEFAULT_LIMITS } from "../src/index.ts";
import type {
  Configuration,
  ListedRamBlock,
  PayloadDecoder,
  RamSink,
  SectionHeader,
  StreamHandler,
} from "../src/index.ts";

/** Thrown at the first device section, where memory is complete. */
export class FirstDevice extends Error {}

/** Guest memory, filled with something that is in no guest so that a page left out shows. */
export class Memory implements RamSink {
  blocks: readonly ListedRamBlock[] = [];
  readonly bytes: Uint8Array[] = [];
  deltas = 0;

  mappedBlock(block: number, entry: ListedRamBlock): void {
    this.bytes[block] = new Uint8Array(entry.length).fill(0xaa);
  }

  blockList(blocks: readonly ListedRamBlock[]): void {
    this.blocks = [...blocks];
    for (const [index, { length }] of blocks.entries()) {
      this.bytes[index] ??= new Uint8Array(length).fill(0xaa);
    }
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.bytes[block]!.fill(fill, offset, offset + 4096);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    expect(bytes).toHaveLength(4096);
    this.bytes[block]!.set(bytes, offset);
  }

  presentPage(block: number, offset: number): Uint8Array {
    this.deltas++;
    return this.bytes[block]!.subarray(offset, offset + 4096);
  }

  named(name: string): Uint8Array {
    return this.bytes[this.blocks.findIndex((one) => one.name === name)]!;
  }
}

/** Reads a stream up to its first device section. */
export class RamHandler implements StreamHandler {
  configured: Configuration | undefined;
  readonly #sink: RamSink;

  constructor(sink: RamSink) {
    this.#sink = sink;
  }

  configuration(configuration: Configuration): void {
    this.configured = configuration;
  }

  open(header: SectionHeader): PayloadDecoder {
    if (header.kind === "full") throw new FirstDevice(header.name);
    expect(header).toMatchObject({ name: "ram", instance: 0, version: 4 });
    const capabilities = this.configured?.capabilities ?? [];
    return new RamDecoder({
      limits: DEFAULT_LIMITS,
      sink: this.#sink,
      blockListForm: {
        addresses: capabilities.includes("x-ignore-shared"),
        mapped: capabilities.includes("mapped-ram"),
      },
    });
  }

  command(): void {}

  endMark(): void {
    throw new Error("the stream ended before a device section");
  }

  vmDescription(): void {
    throw new Error("the stream ended before a device section");
  }
}

/** Feeds a stream in chunks of the sizes that `sizes` gives, up to its first device section. */
export function rebuild(bytes: Uint8Array, sink: RamSink, sizes: () => number): void {
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: new RamHandler(sink) });
  expect(() => {
    for (let at = 0; at < bytes.length;) {
      const size = sizes();
      decoder.push(bytes.subarray(at, at + size));
      at += size;
    }
  }).toThrow(FirstDevice);
}

/** Sizes from 1 byte to `max`, small ones often, the same ones in every run. */
export function randomSizes(seed: number, max = 100_000): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    const fraction = state / 2 ** 32;
    return 1 + Math.floor(fraction ** 4 * max);
  };
}

export const CHUNKINGS: readonly (readonly [name: string, sizes: () => () => number])[] = [
  ["chunks of 65536 bytes", () => () => 65_536],
  ["chunks of 4095 bytes", () => () => 4095],
  ["chunks of random sizes", () => randomSizes(7)],
];
