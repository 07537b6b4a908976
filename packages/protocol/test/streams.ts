import {
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescription,
  RAM_SECTION,
  RamPageEncoder,
  WIRE_PAGE_SIZE,
} from "../src/index.ts";
import type { ByteWriter, RamBlockEntry } from "../src/index.ts";
import { written } from "./support.ts";

export const RAM_ID = 2;

/** Header and configuration. */
export function writeHead(w: ByteWriter): void {
  encodeHeader(w);
  encodeConfiguration(w, { machineType: "wasm-1" });
}

/** The START section of `ram`. */
export function writeRamStart(
  w: ByteWriter,
  encoder: RamPageEncoder,
  blocks: readonly RamBlockEntry[],
): void {
  encodeSectionHeader(w, { kind: "start", id: RAM_ID, ...RAM_SECTION });
  encodeRamBlockList(w, blocks);
  encoder.endOfSection(w);
  encodeFooter(w, RAM_ID);
}

/** A PART or END section of `ram` with the records that `pages` writes. */
export function writeRamSection(
  w: ByteWriter,
  encoder: RamPageEncoder,
  kind: "part" | "end",
  pages: () => void = () => {},
): void {
  encodeSectionContinuation(w, { kind, id: RAM_ID });
  pages();
  encoder.endOfSection(w);
  encodeFooter(w, RAM_ID);
}

/** A FULL section whose payload is a be32 length and the bytes. */
export function writeFull(w: ByteWriter, id: number, name: string, payload: Uint8Array): void {
  encodeSectionHeader(w, { kind: "full", id, name, instance: 0, version: 1 });
  w.be32(payload.length);
  w.bytes(payload);
  encodeFooter(w, id);
}

export const SMALL_BLOCKS: readonly RamBlockEntry[] = [
  { name: "memory", length: 4 * WIRE_PAGE_SIZE },
  { name: "control", length: WIRE_PAGE_SIZE },
];

/** A complete stream with one of everything. */
export function smallStream(): Uint8Array {
  return written((w) => {
    const encoder = new RamPageEncoder();
    const page = Uint8Array.from({ length: WIRE_PAGE_SIZE }, (_, index) => index * 7);
    encodeHeader(w);
    encodeConfiguration(w, {
      machineType: "wasm-1",
      targetPageBits: 12,
      capabilities: ["x-ignore-shared", "mapped-ram"],
      uuid: new Uint8Array(16).fill(9),
    });
    encodeCommand(w, { kind: "open-return-path" });
    encodeCommand(w, { kind: "ping", value: 1 });
    writeFull(w, 0, "wasm-module", new Uint8Array(37).fill(3));
    writeRamStart(w, encoder, SMALL_BLOCKS);
    writeRamSection(w, encoder, "part", () => {
      encoder.zeroPage(w, "memory", 0);
      encoder.page(w, "memory", WIRE_PAGE_SIZE, page);
    });
    encodeCommand(w, { kind: "other", code: 12, payload: new Uint8Array(5).fill(1) });
    writeRamSection(w, encoder, "end", () => {
      encoder.zeroPage(w, "memory", 3 * WIRE_PAGE_SIZE);
      encoder.zeroPage(w, "control", 0);
    });
    writeFull(w, 7, "globalstate", new Uint8Array(0));
    encodeEndMark(w);
    encodeVmDescription(w, {
      page_size: WIRE_PAGE_SIZE,
      devices: [
        { name: "globalstate", instance_id: 0, size: 4, fields: [{ name: "data", type: "buffer", size: 4 }] },
      ],
    });
  });
}
