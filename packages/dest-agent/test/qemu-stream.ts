import {
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
} from "@peregrine/protocol";
import type { ByteWriter, Configuration, SectionHeader, VmDescription } from "@peregrine/protocol";
import { bytesOf, command, TestStream } from "./stream-maker.ts";
import type { Piece } from "./stream-maker.ts";

/** How a stream is framed: machine types up to 2.3 have no configuration and no footers, up to 2.0 no description. */
export interface Framing {
  readonly configuration: Partial<Configuration> | undefined;
  readonly footers: boolean;
  readonly description: boolean;
  readonly returnPath: boolean;
}

export const TODAY: Framing = { configuration: {}, footers: true, description: true, returnPath: true };
export const ERA_2_0: Framing = {
  configuration: undefined,
  footers: false,
  description: false,
  returnPath: true,
};

export const BLOCKS = [
  { name: "pc.ram", length: 8 * 4096 },
  { name: "vga.vram", length: 2 * 4096 },
];
export const RAM_ID = 2;

/** Device sections as their source has them. Nobody here knows what is in them. */
export const CPU = { name: "cpu", instance: 0, version: 12, payload: Uint8Array.of(1, 2, 3, 0, 5, 0, 0, 8) };
export const RTC = { name: "rtc", instance: 1, version: 0, payload: Uint8Array.of(0x7e, 0, 9, 0) };

export const DESCRIPTION: VmDescription = {
  page_size: 4096,
  devices: [CPU, RTC].map(({ name, instance, payload }) => ({
    name,
    instance_id: instance,
    size: payload.length,
    fields: [{ name: "data", type: "buffer", size: payload.length }],
  })),
};

/** A page that is different for each seed. */
export function pageOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: 4096 }, (_, index) => seed + (index >> 5));
}

/** The small machine of these tests, as a QEMU would send it, in pieces. */
export function qemuStream(framing: Framing = TODAY): TestStream {
  const { configuration, footers, description, returnPath } = framing;
  const encoder = new RamPageEncoder();
  const piece = (name: string, encode: (w: ByteWriter) => void): Piece => ({ name, bytes: bytesOf(encode) });
  const part = (kind: "part" | "end", pages: (w: ByteWriter) => void): Piece =>
    piece(`ram-${kind}`, (w) => {
      encodeSectionContinuation(w, { kind, id: RAM_ID });
      pages(w);
      encoder.endOfSection(w);
      if (footers) encodeFooter(w, RAM_ID);
    });
  return new TestStream([
    piece("header", encodeHeader),
    ...(configuration === undefined
      ? []
      : [
          piece("configuration", (w) => {
            encodeConfiguration(w, { machineType: "pc-i440fx-10.0", ...configuration });
          }),
        ]),
    ...(returnPath
      ? [
          { name: "open-return-path", bytes: command({ kind: "open-return-path" }) },
          { name: "ping", bytes: command({ kind: "ping", value: 1 }) },
        ]
      : []),
    { name: "ram-start", bytes: listOfBlocks(footers) },
    part("part", (w) => {
      for (let page = 0; page < 4; page++) encoder.page(w, "pc.ram", page * 4096, pageOf(page));
      encoder.zeroPage(w, "vga.vram", 0);
    }),
    { name: "switchover", bytes: command({ kind: "switchover-start" }) },
    part("end", (w) => {
      encoder.page(w, "pc.ram", 4096, pageOf(77));
    }),
    { name: "cpu", bytes: device({ id: 5, ...CPU }, CPU.payload, footers) },
    { name: "rtc", bytes: device({ id: 9, ...RTC }, RTC.payload, footers) },
    piece("end-mark", encodeEndMark),
    ...(description
      ? [
          piece("vmdescription", (w) => {
            encodeVmDescription(w, DESCRIPTION);
          }),
        ]
      : []),
  ]);
}

/** START of `ram` with the blocks of the machine. */
function listOfBlocks(footers: boolean): Uint8Array {
  return bytesOf((w) => {
    encodeSectionHeader(w, { kind: "start", id: RAM_ID, ...RAM_SECTION });
    encodeRamBlockList(w, BLOCKS);
    new RamPageEncoder().endOfSection(w);
    if (footers) encodeFooter(w, RAM_ID);
  });
}

/** A FULL section. */
export function device(
  { id, name, instance, version }: Omit<SectionHeader, "kind">,
  payload: Uint8Array,
  footers = true,
): Uint8Array {
  return bytesOf((w) => {
    encodeSectionHeader(w, { kind: "full", id, name, instance, version });
    w.bytes(payload);
    if (footers) encodeFooter(w, id);
  });
}
