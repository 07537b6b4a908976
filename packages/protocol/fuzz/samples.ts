import {
  DIRTY_BITMAP_SECTION,
  DirtyBitmapEncoder,
  encodeBlockChunk,
  encodeBlockEnd,
  encodeBlockProgress,
  encodeCommand,
  encodeConfiguration,
  DeltaPage,
  encodeDelta,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockEntry,
  encodeRamBlockList,
  encodeRamTotal,
  encodeSectionHeader,
  encodeZeroBlockChunk,
  BLOCK_CHUNK_BYTES,
  BLOCK_SECTION,
  RAM_SECTION,
  RamPageEncoder,
} from "../src/index.ts";
import type { ByteWriter, ListedRamBlock } from "../src/index.ts";
import { describedStream, writeDevices } from "../test/described.ts";
import { smallStream, SMALL_BLOCKS, writeHead, writeRamSection, writeRamStart } from "../test/streams.ts";
import { written } from "../test/support.ts";
import { PAGE, writeMappedBlock } from "./mapped-file.ts";

const FIRST = Uint8Array.from({ length: PAGE }, (_, index) => index * 3);
const SECOND = FIRST.map((byte, index) => (index % 900 === 7 ? byte + 1 : byte));

/** Small streams with what the recordings do not have. */
export function smallStreams(): Record<string, Uint8Array> {
  return {
    "one of everything": smallStream(),
    "described devices": describedStream(),
    "devices without footers": describedStream({ footers: false }),
    "devices without a description": describedStream({ description: undefined }),
    "a package": written(writePackage),
    "a hand-over": written(writeHandOver),
    "every record": written(writeEveryRecord),
    "long block list": written(writeLongBlockList),
    "a mapped-ram file": written(writeMapped),
    "dirty bitmaps": written(writeDirtyBitmaps),
    "a disk": written(writeDisk),
  };
}

function writePackage(w: ByteWriter): void {
  const content = written((inner) => {
    encodeCommand(inner, { kind: "postcopy-listen" });
    writeDevices(inner);
    encodeCommand(inner, { kind: "postcopy-run" });
  });
  writeHead(w);
  encodeCommand(w, { kind: "postcopy-advise", pageSizes: { summary: PAGE, target: PAGE } });
  writeRamStart(w, new RamPageEncoder(), SMALL_BLOCKS);
  const ranges = [{ start: 0, length: PAGE }];
  encodeCommand(w, { kind: "postcopy-ram-discard", block: "memory", ranges });
  encodeCommand(w, { kind: "packaged", length: content.length });
  w.bytes(content);
  encodeCommand(w, { kind: "recv-bitmap", block: "memory" });
  writeRamSection(w, new RamPageEncoder(), "end");
  encodeEndMark(w);
}

function writeHandOver(w: ByteWriter): void {
  const migration = "00112233445566778899aabbccddeeff";
  writeHead(w);
  encodeCommand(w, { kind: "hand-over", step: "offer", migration });
  encodeCommand(w, { kind: "alive" });
  writeRamStart(w, new RamPageEncoder(), SMALL_BLOCKS);
  encodeCommand(w, { kind: "hand-over", step: "keep", migration });
  writeRamSection(w, new RamPageEncoder(), "end");
  encodeEndMark(w);
}

function writeEveryRecord(w: ByteWriter): void {
  const delta = new Uint8Array(PAGE);
  const encoder = new RamPageEncoder();
  writeHead(w);
  writeRamStart(w, encoder, SMALL_BLOCKS);
  writeRamSection(w, encoder, "part", () => {
    encoder.multifdFlush(w);
    encoder.page(w, "memory", PAGE, FIRST);
    const length = encodeDelta(new DeltaPage(FIRST), new DeltaPage(SECOND), delta);
    encoder.delta(w, "memory", PAGE, delta.subarray(0, length));
    encoder.zeroPage(w, "control", 0, 0x20);
    encoder.compressedPage(w, "memory", 0, Uint8Array.of(1, 2, 3));
  });
  writeRamSection(w, encoder, "end", () => encoder.multifdFlush(w));
  writeDevices(w);
  encodeEndMark(w);
}

function writeLongBlockList(w: ByteWriter): void {
  const blocks: ListedRamBlock[] = [
    { name: "huge", length: 2 * PAGE, pageSize: 0x20_0000, address: 0 },
    { name: "memory", length: PAGE, address: 0x10_0000 },
  ];
  const encoder = new RamPageEncoder();
  encodeHeader(w);
  encodeConfiguration(w, { machineType: "pc", targetPageBits: 12, capabilities: ["x-ignore-shared"] });
  encodeSectionHeader(w, { kind: "start", id: 2, ...RAM_SECTION });
  encodeRamBlockList(w, blocks);
  encoder.endOfSection(w);
  encodeFooter(w, 2);
  writeRamSection(w, encoder, "end", () => encoder.zeroPage(w, "huge", PAGE));
  encodeEndMark(w);
}

function writeMapped(w: ByteWriter): void {
  encodeHeader(w);
  encodeConfiguration(w, { machineType: "pc", capabilities: ["mapped-ram"] });
  encodeSectionHeader(w, { kind: "start", id: 2, ...RAM_SECTION });
  const ram = { name: "pc.ram", length: 5 * PAGE };
  const shared = { name: "shared", length: 2 * PAGE };
  const vga = { name: "vga", length: PAGE };
  const bitmap = Uint8Array.of(0x15, 0, 0, 0, 0, 0, 0, 0);
  encodeRamTotal(w, [ram, shared, vga]);
  writeMappedBlock(w, ram, bitmap, new Uint8Array(ram.length).fill(3));
  encodeRamBlockEntry(w, { ...shared, mapped: { pageSize: PAGE, bitmapOffset: 0, pagesOffset: 0 } });
  writeMappedBlock(w, vga, bitmap, FIRST);
  const encoder = new RamPageEncoder();
  encoder.endOfSection(w);
  encodeFooter(w, 2);
  writeRamSection(w, encoder, "end");
  writeDevices(w);
  encodeEndMark(w);
}

function writeDirtyBitmaps(w: ByteWriter): void {
  const disk = { node: "drive0", bitmap: "b0" };
  const bits = new Uint8Array(32).fill(0xa5);
  const encoder = new DirtyBitmapEncoder();
  writeHead(w);
  encodeSectionHeader(w, { kind: "start", id: 5, ...DIRTY_BITMAP_SECTION });
  const flags = { enabled: true, persistent: true, autoload: false };
  encoder.record(w, { ...disk, kind: "start", granularity: 65_536, ...flags });
  encoder.record(w, { ...disk, kind: "bits", startSector: 0, sectors: 0x800, bits: undefined });
  encoder.record(w, { ...disk, kind: "bits", startSector: 0x800, sectors: 0x400, bits });
  encoder.record(w, { node: "drive1", bitmap: "b1", kind: "complete" });
  encoder.record(w, { ...disk, kind: "complete" });
  encoder.endOfSection(w);
  encodeFooter(w, 5);
  encodeEndMark(w);
}

function writeDisk(w: ByteWriter): void {
  writeHead(w);
  encodeSectionHeader(w, { kind: "start", id: 3, ...BLOCK_SECTION });
  encodeZeroBlockChunk(w, "virtio0", 5 * BLOCK_CHUNK_BYTES);
  encodeBlockProgress(w, 50);
  encodeBlockChunk(w, "ide0", 512, new Uint8Array(BLOCK_CHUNK_BYTES).fill(7));
  encodeBlockEnd(w);
  encodeFooter(w, 3);
  encodeEndMark(w);
}
