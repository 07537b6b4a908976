import {
  ByteWriter,
  encodeCommand,
  encodeConfiguration,
  DeltaPage,
  encodeDelta,
  encodeEndMark,
  encodeFooter,
  encodeGlobalState,
  encodeHeader,
  encodeRamBlockList,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescription,
  RamPageEncoder,
} from "@peregrine/protocol";
import type { Configuration, RamBlockEntry, VmDescription, VmDeviceDescription } from "@peregrine/protocol";

export const PAGE = 4096;
export const RAM_ID = 2;

export const BLOCKS: readonly RamBlockEntry[] = [
  { name: "pc.ram", length: 4 * PAGE },
  { name: "pc.rom", length: PAGE },
];

/** A page that is not the same as any with another seed. */
export function pageOf(seed: number): Uint8Array {
  return Uint8Array.from({ length: PAGE }, (_, index) => seed + index * 7 + (index >> 8));
}

export interface SmallDevice {
  readonly name: string;
  readonly instance?: number;
  readonly version?: number;
  readonly payload: Uint8Array;
}

export const UART: SmallDevice = {
  name: "uart",
  version: 3,
  payload: Uint8Array.of(0x01, 0x02, 10, 11, 12, 0, 0, 0, 0, 0, 0, 0, 255, 0x05, 1, 0x78, 0, 0, 0, 1, 1),
};
export const RTC: SmallDevice = { name: "rtc", instance: 1, payload: Uint8Array.of(0x7e, 0x7e, 0) };
export const GLOBAL_STATE: SmallDevice = { name: "globalstate", payload: encodeGlobalState("running") };

export const DESCRIBED: readonly VmDeviceDescription[] = [
  {
    name: "uart",
    instance_id: 0,
    vmsd_name: "uart",
    version: 3,
    fields: [
      { name: "divider", type: "uint16", size: 2 },
      { name: "fifo", type: "uint8", size: 1, array_len: 3 },
      {
        name: "line",
        type: "struct",
        size: 8,
        struct: { vmsd_name: "line", version: 1, fields: [{ name: "at", type: "uint64", size: 8 }] },
      },
    ],
    subsections: [{ vmsd_name: "x", version: 1, fields: [{ name: "on", type: "bool", size: 1 }] }],
  },
  { name: "rtc", instance_id: 1, size: 3, fields: [{ name: "data", type: "buffer", size: 3 }] },
  {
    name: "globalstate",
    instance_id: 0,
    vmsd_name: "globalstate",
    version: 1,
    fields: [
      { name: "size", type: "uint32", size: 4 },
      { name: "runstate", type: "buffer", size: 100 },
    ],
  },
];

export interface SmallStreamOptions {
  /** null: none. */
  readonly configuration?: Configuration | null;
  readonly footers?: boolean;
  readonly blocks?: readonly RamBlockEntry[];
  /** Writes what follows the list of RAM blocks in the START section of `ram`. */
  readonly start?: (w: ByteWriter, encoder: RamPageEncoder) => void;
  /** Writes the payload of the PART and of the END section of `ram`. */
  readonly part?: (w: ByteWriter, encoder: RamPageEncoder) => void;
  readonly end?: (w: ByteWriter, encoder: RamPageEncoder) => void;
  /** Between the PART and the END section. */
  readonly between?: (w: ByteWriter) => void;
  readonly devices?: readonly SmallDevice[];
  /** null: no vmdescription. */
  readonly described?: readonly VmDeviceDescription[] | null;
}

/** A pass over all pages of {@link BLOCKS}: page 1 of `pc.ram` is not zero, and neither is `pc.rom`. */
export function firstPass(w: ByteWriter, encoder: RamPageEncoder): void {
  encoder.zeroPage(w, "pc.ram", 0);
  encoder.page(w, "pc.ram", PAGE, pageOf(1));
  encoder.zeroPage(w, "pc.ram", 2 * PAGE);
  encoder.zeroPage(w, "pc.ram", 3 * PAGE);
  encoder.page(w, "pc.rom", 0, pageOf(2));
}

/** A pass with a delta for page 1, which is what {@link pageOf} says for 1 with its first bytes changed, and a page. */
export function secondPass(w: ByteWriter, encoder: RamPageEncoder): void {
  encoder.delta(w, "pc.ram", PAGE, deltaTo(changedPage(), pageOf(1)));
  encoder.page(w, "pc.ram", 3 * PAGE, pageOf(3));
}

export function changedPage(): Uint8Array {
  return pageOf(1).fill(0xee, 0, 4);
}

export function deltaTo(page: Uint8Array, from: Uint8Array): Uint8Array {
  const target = new Uint8Array(PAGE);
  return target.subarray(0, encodeDelta(new DeltaPage(from), new DeltaPage(page), target));
}

/** A complete stream as a recent QEMU sends it, with one of everything; or one that is wrong where the options are. */
export function smallStream(options: SmallStreamOptions = {}): Uint8Array {
  const { configuration = { machineType: "pc-test" }, footers = true, blocks = BLOCKS } = options;
  const { start, part = firstPass, end = secondPass, between, devices = [UART, RTC, GLOBAL_STATE] } = options;
  const { described = DESCRIBED } = options;
  return written((w) => {
    const encoder = new RamPageEncoder();
    const footer = (id: number): void => (footers ? encodeFooter(w, id) : undefined);
    encodeHeader(w);
    if (configuration !== null) encodeConfiguration(w, configuration);
    encodeCommand(w, { kind: "ping", value: 1 });
    encodeSectionHeader(w, { kind: "start", id: RAM_ID, name: "ram", instance: 0, version: 4 });
    encodeRamBlockList(w, blocks);
    start?.(w, encoder);
    encoder.endOfSection(w);
    footer(RAM_ID);
    for (const kind of ["part", "end"] as const) {
      if (kind === "end") between?.(w);
      encodeSectionContinuation(w, { kind, id: RAM_ID });
      (kind === "part" ? part : end)(w, encoder);
      encoder.endOfSection(w);
      footer(RAM_ID);
    }
    for (const [index, device] of devices.entries()) {
      writeDevice(w, device, index + 10);
      footer(index + 10);
    }
    encodeEndMark(w);
    if (described !== null) encodeVmDescription(w, descriptionOf(described));
  });
}

export function descriptionOf(devices: readonly VmDeviceDescription[]): VmDescription {
  return { page_size: PAGE, devices };
}

export function writeDevice(
  w: ByteWriter,
  { name, instance = 0, version = 1, payload }: SmallDevice,
  id: number,
): void {
  encodeSectionHeader(w, { kind: "full", id, name, instance, version });
  w.bytes(payload);
}

export function written(write: (w: ByteWriter) => void): Uint8Array {
  const w = new ByteWriter();
  write(w);
  return w.view().slice();
}
