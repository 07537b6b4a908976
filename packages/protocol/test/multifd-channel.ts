import {
  encodeMultifdDeviceState,
  encodeMultifdInit,
  encodeMultifdPages,
  MigrationError,
  MultifdChannelDecoder,
} from "../src/index.ts";
import type { MultifdChannelOptions, MultifdPages, MultifdSink, PageRun } from "../src/index.ts";
import { openDecompressor } from "./decompressors.ts";
import { fromHex, toHex, written } from "./support.ts";

export const PAGE = 4096;
export const UUID = fromHex("000102030405060708090a0b0c0d0e0f");
const BLOCKS = [
  { name: "pc.ram", length: 512 * PAGE },
  { name: "vga.vram", length: 2 * PAGE },
];
export const NO_PAGES: MultifdPages = {
  kind: "pages",
  sync: true,
  compression: "none",
  packetNumber: 0,
  block: "",
  runs: [],
  zeroRuns: [],
  payloadBytes: 0,
};
export const PACKET_BYTES = 1344;

/** Pages at these offsets, in their order; those that follow each other together. */
export function runsOf(offsets: readonly number[]): PageRun[] {
  const runs: { offset: number; pages: number }[] = [];
  for (const offset of offsets) {
    const last = runs.at(-1);
    if (last !== undefined && offset === last.offset + last.pages * PAGE) last.pages++;
    else runs.push({ offset, pages: 1 });
  }
  return runs;
}

export function pageBytes(seed: number): Uint8Array {
  return Uint8Array.from({ length: PAGE }, (_, index) => seed + (index >> 4));
}

/** Pages with different contents, one after the other. */
export function pagesBytes(count: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(count * PAGE);
  for (let index = 0; index < count; index++) bytes.set(pageBytes(seed + index), index * PAGE);
  return bytes;
}

/** Writes down every call as text. */
export class Recorder implements MultifdSink {
  readonly events: string[] = [];

  init({ uuid, channel }: { readonly uuid: Uint8Array; readonly channel: number }): void {
    this.events.push(`channel ${channel} ${toHex(uuid)}`);
  }

  findBlock(name: string): { readonly index: number; readonly length: number } | undefined {
    const index = BLOCKS.findIndex((one) => one.name === name);
    const block = BLOCKS[index];
    return block === undefined ? undefined : { index, length: block.length };
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.events.push(`page ${block} ${offset} ${toHex(bytes)}`);
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.events.push(`zero ${block} ${offset} ${fill}`);
  }

  sync(packetNumber: number): Promise<void> {
    this.events.push(`sync ${packetNumber}`);
    return Promise.resolve();
  }

  deviceState({ name, instance }: { name: string; instance: number }, bytes: Uint8Array): void {
    const head = `state ${name} ${instance} `;
    const last = this.events.at(-1);
    if (last?.startsWith(head) === true) this.events[this.events.length - 1] = last + toHex(bytes);
    else this.events.push(head + toHex(bytes));
  }
}

export async function decode(
  chunks: readonly Uint8Array[],
  options: Partial<MultifdChannelOptions> = {},
): Promise<string[]> {
  const recorder = new Recorder();
  const decoder = new MultifdChannelDecoder({ sink: recorder, openDecompressor, ...options });
  for (const chunk of chunks) {
    const copy = chunk.slice();
    await decoder.push(copy);
    copy.fill(0xee);
  }
  decoder.end();
  return recorder.events;
}

export async function refused(
  chunks: readonly Uint8Array[],
  options?: Partial<MultifdChannelOptions>,
): Promise<MigrationError> {
  try {
    await decode(chunks, options);
  } catch (error) {
    if (MigrationError.is(error)) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** A channel of raw pages with everything that can be in it. */
export const CHANNEL = written((w) => {
  encodeMultifdInit(w, { uuid: UUID, channel: 3 });
  encodeMultifdPages(w, "9.0", NO_PAGES);
  encodeMultifdPages(w, "9.0", {
    ...NO_PAGES,
    sync: false,
    packetNumber: 1,
    block: "pc.ram",
    runs: runsOf([0, 7 * PAGE]),
    zeroRuns: runsOf([511 * PAGE]),
    payloadBytes: 2 * PAGE,
  });
  w.bytes(pagesBytes(2, 1));
  encodeMultifdDeviceState(w, { kind: "device-state", name: "vfio", instance: 5, payloadBytes: 37 });
  w.bytes(new Uint8Array(37).fill(9));
  encodeMultifdDeviceState(w, { kind: "device-state", name: "vfio", instance: 6, payloadBytes: 0 });
  encodeMultifdPages(w, "9.0", {
    ...NO_PAGES,
    packetNumber: 2,
    block: "vga.vram",
    zeroRuns: runsOf([0, PAGE]),
  });
  encodeMultifdPages(w, "5.0", {
    ...NO_PAGES,
    packetNumber: 3,
    block: "vga.vram",
    runs: runsOf([PAGE]),
    payloadBytes: PAGE,
  });
  w.bytes(pagesBytes(1, 9));
});
