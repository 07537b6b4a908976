import { DEFAULT_LIMITS, encodeSectionHeader, RamPageEncoder } from "@peregrine/protocol";
import type { ByteWriter, Command } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import { mainStream, noRecordings } from "../../protocol/test/fixtures.ts";
import { feedImage } from "../test/in-process.ts";
import { CPU, device, ERA_2_0, qemuStream, RAM_ID, TODAY } from "../test/qemu-stream.ts";
import { expectImageRefusal } from "../test/refusal.ts";
import type { Refusal } from "../test/refusal.ts";
import { bytesOf, command, ramPart, ramStart } from "../test/stream-maker.ts";
import type { TestStream } from "../test/stream-maker.ts";

type Row = readonly [name: string, changed: () => TestStream, refusal: Refusal];

const stream = qemuStream({ ...TODAY, returnPath: false });

const started = (name: string, instance = 0): Uint8Array =>
  bytesOf((w) => {
    encodeSectionHeader(w, { kind: "start", id: 7, name, instance, version: 1 });
  });

/** The stream with a part of `ram` that has these records in front. */
const withRecords = (records: (w: ByteWriter) => void): TestStream =>
  stream.with("ram-part", ramPart("part", records, RAM_ID));

const withCommand = (value: Command): TestStream => stream.before("ram-part", command(value));

/** What a real destination refuses, in its words. */
const KNOWN: readonly Row[] = [
  [
    "bad magic",
    () => stream.with("header", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")),
    { code: "NOT_A_STREAM", text: "Not a migration stream", at: ["header", 0] },
  ],
  [
    "version 2",
    () => stream.with("header", Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 2)),
    {
      code: "UNSUPPORTED_VERSION",
      text: "SaveVM v2 format is obsolete and don't work anymore",
      at: ["header", 4],
    },
  ],
  [
    "version 4",
    () => stream.with("header", Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 4)),
    { code: "UNSUPPORTED_VERSION", text: "Unsupported migration stream version", at: ["header", 4] },
  ],
  [
    "a newer section version",
    () => stream.with("ram-start", ramStart([], { id: RAM_ID, version: 99 })),
    {
      code: "UNSUPPORTED_SECTION_VERSION",
      text: "savevm: unsupported version 99 for 'ram' v4",
      at: ["ram-start", 0],
      section: "ram",
      lastGood: "configuration",
    },
  ],
  [
    "an unknown section type",
    () => stream.before("ram-part", Uint8Array.of(85)),
    {
      code: "BAD_SECTION",
      text: "Unknown savevm section type 85",
      at: ["added", 0],
      lastGood: "ram",
    },
  ],
  [
    "an unknown section id",
    () =>
      stream.with(
        "ram-part",
        ramPart("part", () => {}, 77),
      ),
    { code: "UNKNOWN_SECTION", text: "Unknown savevm section 77", at: ["ram-part", 0], lastGood: "ram" },
  ],
  [
    "another footer",
    () => {
      const bytes = stream.bytesOf("ram-end").slice();
      bytes[bytes.length - 1] = 0x63;
      return stream.with("ram-end", bytes);
    },
    {
      code: "BAD_FOOTER",
      text: "Mismatched section id in footer for ram - read 0x63 expected 0x2",
      section: "ram",
      lastGood: "ram",
    },
  ],
  [
    "no footer, after the first one",
    () => stream.with("ram-end", stream.bytesOf("ram-end").slice(0, -5)),
    { code: "BAD_FOOTER", text: "Missing section footer for ram", section: "ram" },
  ],
  [
    "an unknown block",
    () => withRecords((w) => new RamPageEncoder().zeroPage(w, "pc.rom", 0)),
    {
      code: "BAD_RAM_BLOCK",
      text: 'Unknown ramblock "pc.rom", cannot accept migration',
      at: ["ram-part", 5],
      section: "ram",
      lastGood: "ram",
    },
  ],
  [
    "an offset outside its block",
    () => withRecords((w) => new RamPageEncoder().zeroPage(w, "pc.ram", 0x7000000)),
    { code: "BAD_RAM_PAGE", text: "Illegal RAM offset 7000000", at: ["ram-part", 5], section: "ram" },
  ],
  [
    "unknown flags",
    () => withRecords((w) => w.be64(0x808)),
    { code: "BAD_RAM_PAGE", text: "Unknown combination of migration flags: 0x808", at: ["ram-part", 5] },
  ],
  [
    "a page that continues no block",
    () => withRecords((w) => w.be64(0x28)),
    { code: "BAD_RAM_PAGE", text: "Ack, bad migration stream!", at: ["ram-part", 5], section: "ram" },
  ],
  ...(
    [
      ["wrong compression", [2, 0, 0]],
      ["len overflow", [1, 0x10, 1]],
      ["decode error", [1, 0, 2, 0, 0]],
    ] as const
  ).map(([why, bytes]): Row => [
    `a delta with a ${why}`,
    () =>
      withRecords((w) => {
        w.be64(0x40);
        w.counted("pc.ram");
        w.bytes(Uint8Array.from(bytes));
      }),
    { code: "BAD_RAM_PAGE", text: `Failed to load XBZRLE page - ${why}!`, at: ["ram-part", 5] },
  ]),
];

/** What is refused because nothing could be done with it. */
const OWN: readonly Row[] = [
  [
    "disks",
    () => stream.before("ram-start", started("block")),
    {
      code: "UNKNOWN_SECTION",
      text: "Section 'block' 0 holds the contents of disks, which are not taken in here: migrate without blk and inc",
      at: ["added", 0],
      section: "block",
      lastGood: "configuration",
    },
  ],
  [
    "dirty bitmaps",
    () => stream.before("ram-start", started("dirty-bitmap")),
    {
      code: "UNKNOWN_SECTION",
      text: "Section 'dirty-bitmap' 0 holds dirty bitmaps of disks, which are not taken in here: switch the",
    },
  ],
  [
    "any other section with parts",
    () => stream.before("ram-part", started("vfio", 3)),
    {
      code: "UNKNOWN_SECTION",
      text: "Section 'vfio' 3 is sent in parts, which is understood of 'ram' 0 only",
    },
  ],
  [
    "another instance of ram",
    () => stream.with("ram-start", ramStart([], { instance: 1 })),
    { code: "UNKNOWN_SECTION", text: "Section 'ram' 1 is sent in parts" },
  ],
  [
    "ram in one piece",
    () => stream.with("ram-start", ramStart([], { kind: "full" })),
    { code: "BAD_SECTION_ORDER", text: "Section 'ram' came in one piece instead of by START" },
  ],
  [
    "ram twice",
    () => stream.after("ram-end", ramStart([{ name: "pc.ram", length: 4096 }])),
    { code: "BAD_SECTION_ORDER", text: "Section 'ram' was started twice", at: ["added", 0] },
  ],
  [
    "ram without blocks",
    () => stream.with("ram-start", ramStart(undefined, { id: RAM_ID })),
    { code: "BAD_RAM_BLOCK", text: "Section 'ram' has no list of RAM blocks", section: "ram" },
  ],
  [
    "more ram than the limit",
    () => stream.with("ram-start", ramStart([{ name: "pc.ram", length: 2 ** 45 }], { id: RAM_ID })),
    {
      code: "LIMIT_EXCEEDED",
      text: "The guest needs 32768 GiB of memory and no more than 16384 GiB are accepted here: allow more with --max-ram, which is the free memory of the host unless it is given",
      section: "ram",
    },
  ],
  [
    "a device while ram is being sent",
    () => stream.after("ram-start", device({ id: 5, ...CPU }, CPU.payload)),
    {
      code: "BAD_SECTION_ORDER",
      text: "Section 'cpu' came before the end of section 'ram'",
      at: ["added", 0],
      section: "cpu",
      lastGood: "ram",
    },
  ],
  [
    "a device twice",
    () => stream.before("rtc", device({ id: 5, ...CPU }, CPU.payload)),
    { code: "BAD_SECTION_ORDER", text: "Section 'cpu' 0 came twice", at: ["added", 0], lastGood: "cpu" },
  ],
  [
    "no ram",
    () => stream.without("ram-start").without("ram-part").without("ram-end").without("vmdescription"),
    { code: "BAD_SECTION_ORDER", text: "The stream ended without section 'ram'" },
  ],
  [
    "no end of ram",
    () => stream.without("ram-end").without("cpu").without("rtc").without("vmdescription"),
    { code: "BAD_SECTION_ORDER", text: "The stream ended without section 'ram' END", at: ["end-mark", 0] },
  ],
  [
    "other pages",
    () => qemuStream({ ...TODAY, configuration: { targetPageBits: 16 } }),
    { code: "BAD_SECTION", text: "Page size received is 2^16 bytes and local is 2^12" },
  ],
  [
    "shared memory that is left out",
    () => qemuStream({ ...TODAY, configuration: { capabilities: ["x-ignore-shared"] } }),
    {
      code: "BAD_SECTION",
      text:
        "Capability 'x-ignore-shared' is on at the source, but not here; the memory that it leaves out would be " +
        "missing: switch it off",
      at: ["configuration", 0],
      section: "configuration",
    },
  ],
  [
    "pages with places, where there is no file",
    () => qemuStream({ ...TODAY, configuration: { capabilities: ["mapped-ram"] } }),
    {
      code: "BAD_SECTION",
      text: "Capability 'mapped-ram' is on at the source, but not here; it is for files: switch it off, or migrate",
    },
  ],
  [
    "a capability that nobody knows",
    () => qemuStream({ ...TODAY, configuration: { capabilities: ["x-new"] } }),
    {
      code: "BAD_SECTION",
      text: "Capability 'x-new' is on at the source, but not here (section 'configuration'",
    },
  ],
  [
    "postcopy",
    () => withCommand({ kind: "postcopy-advise", pageSizes: { summary: 4096, target: 4096 } }),
    {
      code: "BAD_STREAM_COMMAND",
      text: "Postcopy is not supported here: switch the capability postcopy-ram off at the source",
      at: ["added", 0],
    },
  ],
  [
    "postcopy of bitmaps",
    () => withCommand({ kind: "postcopy-advise" }),
    {
      code: "BAD_STREAM_COMMAND",
      text: "Postcopy is not supported here: switch the capability dirty-bitmaps off at the source",
    },
  ],
  [
    "another command",
    () => withCommand({ kind: "enable-colo" }),
    { code: "BAD_STREAM_COMMAND", text: "Command ENABLE_COLO (8) is not supported here", at: ["added", 0] },
  ],
  [
    "pages on channels that nobody reads",
    () => withRecords((w) => w.be64(0x200)),
    {
      code: "LOAD_FAILED",
      text: "The source sends memory over multifd channels, which are off here: set multifd-channels as at the source",
      section: "ram",
    },
  ],
  [
    "something behind the vmdescription",
    () => stream.after("vmdescription", Uint8Array.of(0)),
    { code: "UNEXPECTED_DATA", text: "Unexpected data after the vmdescription", at: ["added", 0] },
  ],
];

describe("what QEMU refuses", () => {
  test.each(KNOWN)("%s", async (_, changed, refusal) => {
    await expectImageRefusal(changed(), refusal);
  });
});

describe("what cannot be kept", () => {
  test.each(OWN)("%s", async (_, changed, refusal) => {
    await expectImageRefusal(changed(), refusal);
  });

  test("more device sections than the limit", async () => {
    const maxDeviceTailBytes = 200;
    const limits = { ...DEFAULT_LIMITS, maxDeviceTailBytes };
    const early = device({ id: 3, ...CPU, name: "early" }, new Uint8Array(150));
    const late = device({ id: 3, ...CPU, name: "late" }, new Uint8Array(90));
    const changed = stream
      .before("ram-start", early)
      .with("cpu", late)
      .without("rtc")
      .without("vmdescription");
    const { error } = await feedImage({ chunks: [changed.bytes], limits });
    expect(error).toMatchObject({ code: "LIMIT_EXCEEDED", section: "late" });
    expect(error?.message).toContain("240 bytes of device sections are more than the limit of 200");
  });
});

describe("a stream that is cut off", () => {
  test.each([
    ["today", TODAY],
    ["of the 2.0 era", ERA_2_0],
  ])("%s, is refused at every byte that is not its end", async (_, framing) => {
    const oneWay = qemuStream({ ...framing, returnPath: false });
    const { bytes, pieces } = oneWay;
    const devicesAt = oneWay.offsetOf("cpu");
    const whole = qemuStream({ ...framing, returnPath: false, description: false }).bytes.length;
    const steps = new Set([...Array.from({ length: 400 }, (__, at) => at), ...around(pieces)]);
    for (const length of [...steps].filter((at) => at < bytes.length)) {
      const { error, committed } = await feedImage({ chunks: [bytes.subarray(0, length)] });
      // In the 2.0 era nothing in the stream tells such a cut in a device from the end.
      const mayBeEnd = !framing.footers && length > devicesAt && bytes[length - 1] === 0;
      if (length === whole || mayBeEnd) continue;
      expect(error, `cut at ${length}`).toBeDefined();
      expect(["TRUNCATED", "BAD_SECTION"]).toContain(error?.code);
      expect(committed).toBe(false);
    }
  });

  test("is refused with what was expected and where", async () => {
    await expectImageRefusal(
      stream.without("vmdescription").with("rtc", stream.bytesOf("rtc").slice(0, -7)),
      {
        code: "TRUNCATED",
        text: "The stream ended where the rest of the section 'rtc' and its footer was expected: Input/output error",
        section: "rtc",
        lastGood: "cpu",
      },
    );
  });
});

/** Some lengths around the beginning of each piece. */
function around(pieces: readonly { readonly bytes: Uint8Array }[]): number[] {
  let at = 0;
  return pieces.flatMap(({ bytes }) => {
    const lengths = Array.from({ length: 20 }, (_, index) => at + index);
    at += bytes.length;
    return [...lengths, at - 1];
  });
}

describe.skipIf(noRecordings)("recordings of real QEMU", () => {
  test.each([
    [
      "pc-72-postcopy",
      "BAD_STREAM_COMMAND",
      "Postcopy is not supported here: switch the capability postcopy-ram off",
    ],
    [
      "pc-100-postcopy",
      "BAD_STREAM_COMMAND",
      "Postcopy is not supported here: switch the capability postcopy-ram off",
    ],
    ["pc-72-block", "UNKNOWN_SECTION", "Section 'block' 0 holds the contents of disks"],
    ["pc-100-multifd", "LOAD_FAILED", "The source sends memory over multifd channels, which are off here"],
  ])("%s is refused", async (name, code, text) => {
    const { error, sent, committed } = await feedImage({ chunks: [mainStream(name)] });
    expect(error).toMatchObject({ code, message: expect.stringContaining(text), offset: expect.any(Number) });
    expect(sent.filter(({ kind }) => kind !== "pong")).toEqual([]);
    expect(committed).toBe(false);
  });
});
