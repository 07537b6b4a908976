import { DEFAULT_LIMITS, encodeCommand, encodeFooter, encodeSectionHeader } from "@peregrine/protocol";
import type { ByteWriter, Command, MigrationError, RamPageEncoder } from "@peregrine/protocol";
import { expect, test } from "vitest";
import { inspected } from "../test/inspected.ts";
import {
  DESCRIBED,
  firstPass,
  GLOBAL_STATE,
  PAGE,
  RTC,
  smallStream,
  UART,
  written,
} from "../test/small-stream.ts";
import type { SmallStreamOptions } from "../test/small-stream.ts";
import { StrictCheck } from "./index.ts";

/** The first fault of a stream. */
async function faultIn(bytes: Uint8Array): Promise<MigrationError | undefined> {
  const listener = new StrictCheck(DEFAULT_LIMITS);
  const { summary, fault } = await inspected(bytes, { listener });
  if (fault !== undefined) return fault;
  try {
    listener.requireComplete(summary);
    return undefined;
  } catch (error) {
    return error as MigrationError;
  }
}

test.each([
  {},
  { described: null },
  { configuration: null, footers: false },
  { configuration: null, footers: false, described: null },
] satisfies SmallStreamOptions[])("a stream without a fault: %j", async (options) => {
  expect(await faultIn(smallStream(options))).toBeUndefined();
});

const command =
  (...commands: readonly Command[]) =>
  (w: ByteWriter): void => {
    for (const one of commands) encodeCommand(w, one);
  };
const [uart, rtc, globalState] = DESCRIBED as [
  (typeof DESCRIBED)[0],
  (typeof DESCRIBED)[0],
  (typeof DESCRIBED)[0],
];
const DISCARD: Command = { kind: "postcopy-ram-discard", block: "pc.ram", ranges: [] };

test.each<[string, SmallStreamOptions, string, string]>([
  [
    "a device that is described with another length",
    { described: [uart, { ...rtc, fields: [{ name: "data", type: "buffer", size: 2 }] }, globalState] },
    "BAD_SECTION",
    "it gives 'rtc/1' 2 bytes, and the section has 3",
  ],
  [
    "devices that are described in another order",
    { described: [rtc, uart, globalState] },
    "BAD_SECTION",
    "it describes 'rtc/1' where the stream has 'uart'",
  ],
  [
    "a device that is not described",
    { described: [uart, rtc] },
    "BAD_SECTION",
    "it does not describe the section 'globalstate'",
  ],
  [
    "a device that is described and not there",
    { devices: [UART, RTC] },
    "BAD_SECTION",
    "it describes a section 'globalstate' that the stream does not have",
  ],
  [
    "a subsection that is not where it is described",
    { devices: [{ ...UART, payload: UART.payload.with(15, 0x79) }, RTC, GLOBAL_STATE] },
    "BAD_SECTION",
    "'x' is not the subsection at byte 13",
  ],
  [
    "a device that comes twice",
    { devices: [UART, RTC, RTC], described: null },
    "BAD_SECTION_ORDER",
    "The section 'rtc/1' came twice",
  ],
  [
    "a run state without an end",
    { devices: [{ ...GLOBAL_STATE, payload: new Uint8Array(104).fill(0x61, 4) }], described: null },
    "BAD_SECTION",
    "no terminating NUL",
  ],
  [
    "a section that does not end",
    {
      between: (w) => {
        encodeSectionHeader(w, { kind: "start", id: 5, name: "dirty-bitmap", instance: 0, version: 1 });
        w.u8(1);
        encodeFooter(w, 5);
      },
    },
    "BAD_SECTION_ORDER",
    "The section 'dirty-bitmap' was started and has not ended",
  ],
  [
    "a second section ram",
    {
      between: (w) => {
        encodeSectionHeader(w, { kind: "start", id: 5, name: "ram", instance: 0, version: 4 });
        w.be64(0x10);
        encodeFooter(w, 5);
      },
    },
    "BAD_SECTION_ORDER",
    "The section 'ram' came twice",
  ],
  [
    "a delta for a page that never came",
    {
      part: (w: ByteWriter, encoder: RamPageEncoder) =>
        encoder.delta(w, "pc.ram", PAGE, Uint8Array.of(0, 1, 9)),
    },
    "BAD_RAM_PAGE",
    "1 deltas for pages that had not come before",
  ],
  [
    "pages that never came",
    { part: (w, encoder) => encoder.zeroPage(w, "pc.ram", 0), end: () => {} },
    "BAD_RAM_PAGE",
    "3 of 4 pages of RAM block 'pc.ram' never came, the first at offset 0x1000",
  ],
  [
    "a command that is unknown",
    { between: command({ kind: "other", code: 99, payload: new Uint8Array(0) }) },
    "BAD_STREAM_COMMAND",
    "The command 99 is unknown",
  ],
  [
    "pages that are taken back without notice",
    { between: command(DISCARD) },
    "BAD_STREAM_COMMAND",
    "POSTCOPY_RAM_DISCARD came without POSTCOPY_ADVISE",
  ],
  [
    "postcopy without notice",
    { between: command({ kind: "postcopy-listen" }) },
    "BAD_STREAM_COMMAND",
    "POSTCOPY_LISTEN came without POSTCOPY_ADVISE",
  ],
  [
    "a guest that is to run before pages are served",
    { between: command({ kind: "postcopy-advise" }, { kind: "postcopy-run" }) },
    "BAD_STREAM_COMMAND",
    "POSTCOPY_RUN came without POSTCOPY_LISTEN",
  ],
])("%s", async (_name, options, code, text) => {
  const fault = await faultIn(smallStream(options));
  expect(fault).toMatchObject({ code, message: expect.stringContaining(text) });
});

test("commands in their turn are no fault", async () => {
  const between = command(
    { kind: "postcopy-advise" },
    DISCARD,
    { kind: "postcopy-listen" },
    { kind: "postcopy-run" },
  );
  expect(await faultIn(smallStream({ between }))).toBeUndefined();
});

test("a stream without ram", async () => {
  const bytes = written((w) => {
    w.bytes(Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 3, 0));
  });
  expect(await faultIn(bytes)).toMatchObject({ code: "BAD_SECTION_ORDER" });
});

test("blocks that both ends share have no pages in the stream", async () => {
  const blocks = [
    { name: "pc.ram", length: 4 * PAGE, address: 0 },
    { name: "pc.rom", length: PAGE, address: 2 ** 32 },
  ];
  const configuration = { machineType: "pc-test", capabilities: ["x-ignore-shared"] };
  const part = (w: ByteWriter, encoder: RamPageEncoder): void => encoder.zeroPage(w, "pc.rom", 0);
  expect(await faultIn(smallStream({ configuration, blocks, part, end: () => {} }))).toBeUndefined();
});

test("every byte of a footer, a type and an end mark counts", async () => {
  const whole = smallStream({ part: firstPass });
  const at = whole.lastIndexOf(0x7e, smallStream({ described: null }).length);
  for (const wrong of [at, at + 4, at + 5]) {
    expect(await faultIn(whole.with(wrong, 0x55))).toMatchObject({ offset: expect.any(Number) });
  }
  expect(await faultIn(Uint8Array.of(...whole, 0))).toMatchObject({ code: "UNEXPECTED_DATA" });
});
