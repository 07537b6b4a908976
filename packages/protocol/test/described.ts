import {
  encodeCommand,
  encodeEndMark,
  encodeFooter,
  encodeSectionHeader,
  encodeVmDescription,
} from "../src/index.ts";
import type { ByteWriter, VmDescription } from "../src/index.ts";
import { writeHead } from "./streams.ts";
import { fromHex, written } from "./support.ts";

/** A device with an array, structures and subsections, and one that is described as a buffer. */
export const DESCRIPTION: VmDescription = {
  page_size: 4096,
  devices: [
    {
      name: "uart",
      instance_id: 0,
      vmsd_name: "uart",
      version: 3,
      fields: [
        { name: "divider", type: "uint16", size: 2 },
        { name: "fifo", type: "uint8", size: 1, array_len: 3 },
        { name: "timer", index: 0, type: "int64", size: 8 },
        { name: "timer", index: 1, type: "int64", size: 8 },
        {
          name: "line",
          type: "struct",
          size: 12,
          struct: {
            vmsd_name: "line",
            version: 1,
            fields: [{ name: "level", type: "int32 le", size: 4 }],
            subsections: [{ vmsd_name: "l", version: 1, fields: [{ name: "on", type: "bool", size: 1 }] }],
          },
        },
        {
          name: "pin",
          type: "struct",
          size: 2,
          array_len: 2,
          struct: {
            vmsd_name: "pin",
            version: 1,
            fields: [
              { name: "a", type: "bool", size: 1 },
              { name: "b", type: "uint8 equal", size: 1 },
            ],
          },
        },
        { name: "none", type: "buffer", size: 0, array_len: 2 ** 50 },
      ],
      subsections: [{ vmsd_name: "uart/x", version: 2, fields: [{ name: "raw", type: "buffer", size: 2 }] }],
    },
    { name: "rtc", instance_id: 1, size: 3, fields: [{ name: "data", type: "buffer", size: 3 }] },
  ],
};

export const UART = fromHex(
  [
    "0102", // divider
    "0a0b0c", // fifo
    "00000000000000ff", // timer[0]
    "ffffffffffffffff", // timer[1]
    "fdffffff", // line.level
    "05 01 6c 00000001 01", // line.{l}.on
    "0107 0008", // pin
    "05 06 756172742f78 00000002 beef", // {uart/x}
  ]
    .join("")
    .replaceAll(" ", ""),
);
export const RTC = fromHex("7e7e00");

export interface DescribedStream {
  readonly footers?: boolean;
  readonly description?: VmDescription | undefined;
  readonly uart?: Uint8Array;
}

/** A stream that is nothing but the two devices, with a command between them. */
export function describedStream(options: DescribedStream = {}): Uint8Array {
  return written((w) => {
    writeHead(w);
    writeDevices(w, options);
    encodeEndMark(w);
    const description = "description" in options ? options.description : DESCRIPTION;
    if (description !== undefined) encodeVmDescription(w, description);
  });
}

export function writeDevices(w: ByteWriter, { footers = true, uart = UART }: DescribedStream = {}): void {
  encodeSectionHeader(w, { kind: "full", id: 6, name: "uart", instance: 0, version: 3 });
  w.bytes(uart);
  if (footers) encodeFooter(w, 6);
  encodeCommand(w, { kind: "ping", value: 3 });
  encodeSectionHeader(w, { kind: "full", id: 9, name: "rtc", instance: 1, version: 1 });
  w.bytes(RTC);
  if (footers) encodeFooter(w, 9);
}
