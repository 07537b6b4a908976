import { encodeCommand, RamPageEncoder } from "@peregrine/protocol";
import type { ByteWriter } from "@peregrine/protocol";
import { deflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { inspected } from "../test/inspected.ts";
import {
  BLOCKS,
  DESCRIBED,
  firstPass,
  GLOBAL_STATE,
  PAGE,
  pageOf,
  RTC,
  secondPass,
  smallStream,
  UART,
} from "../test/small-stream.ts";
import type { SmallStreamOptions } from "../test/small-stream.ts";
import type { InspectEvent, SectionEvent } from "./index.ts";

test("everything that a stream holds, in its order", async () => {
  const { events, summary, fault } = await inspected(smallStream());
  expect(fault).toBeUndefined();
  const lines = [...events, summary].map((one) => `${JSON.stringify(one)}\n`).join("");
  await expect(lines).toMatchFileSnapshot("../test/golden/small-stream.jsonl");
});

test.each([1, 3, 4095])("chunks of %i bytes make no difference", async (chunkBytes) => {
  const bytes = smallStream();
  expect(await inspected(bytes, { chunkBytes })).toEqual(await inspected(bytes));
});

/** Offsets and sizes of everything that was told, which follow each other without gaps. */
function requireGapless(events: readonly InspectEvent[], length: number): void {
  let at = 0;
  for (const event of events) {
    expect(event.offset).toBe(at);
    if ("size" in event) at += event.size;
  }
  expect(at).toBe(length);
}

const UNDIVIDED: SmallStreamOptions = { configuration: null, footers: false, described: null };

describe.each([
  ["footers and a vmdescription", {}],
  ["no vmdescription", { described: null }],
  ["no configuration and no footers", { configuration: null, footers: false }],
  ["neither", UNDIVIDED],
] as const)("with %s", (_name, options: SmallStreamOptions) => {
  const whole = smallStream(options);

  test("everything has its place", async () => {
    const { events, summary, fault } = await inspected(whole);
    expect(fault).toBeUndefined();
    requireGapless(events, whole.length);
    expect(summary).toMatchObject({
      bytes: whole.length,
      complete: true,
      configuration: options.configuration !== null,
      footers: options.footers !== false,
      vmDescription: options.described !== null,
      devices: options === UNDIVIDED ? 0 : 3,
      undivided: options === UNDIVIDED,
      runState: options === UNDIVIDED ? undefined : "running",
    });
  });

  test("cut off anywhere, everything up to there is told, and what is missing", async () => {
    const tail = whole.length - smallStream({ ...options, devices: [], described: null }).length;
    const description = whole.length - smallStream({ ...options, described: null }).length;
    for (let length = 0; length < whole.length; length += length % 97 === 0 ? 1 : 13) {
      const { events, summary, fault } = await inspected(whole.subarray(0, length));
      requireGapless(events, length);
      expect(summary.bytes).toBe(length);
      // Without footers nothing tells a cut in a device from the end, if the byte in front of it is zero.
      if (fault === undefined && summary.undivided && whole[length - 1] === 0) continue;
      if (fault === undefined && length === whole.length - description) continue;
      if (fault?.code !== "TRUNCATED" || fault.offset !== length) {
        const unmeasured = options.footers === false && length >= whole.length - tail;
        if (!unmeasured) expect.fail(`cut after ${length} bytes: ${String(fault)}`);
      }
      expect(events.at(-1)).toMatchObject({ item: "unfinished" });
      expect(summary.complete).toBe(false);
    }
  });
});

test("a cut in a device names it and the section before it", async () => {
  const whole = smallStream({ described: null });
  const inRtc = smallStream({ described: null, devices: [UART] }).length + 18;
  const { events, fault } = await inspected(whole.subarray(0, inRtc));
  expect(fault).toMatchObject({ code: "TRUNCATED", section: "rtc", lastGoodSection: "uart", offset: inRtc });
  expect(sections(events).at(-1)).toMatchObject({ name: "uart", cutBy: "footer" });
});

test("cut off in the vmdescription of a stream without footers, that is what is missing", async () => {
  const whole = smallStream({ configuration: null, footers: false });
  const { fault } = await inspected(whole.subarray(0, whole.length - 5));
  expect(fault).toMatchObject({ code: "TRUNCATED", section: "vmdescription" });
});

test("without footers a vmdescription that does not fit is named with the device", async () => {
  const described = DESCRIBED.map((device) =>
    device.name === "rtc" ? { ...device, fields: [{ name: "data", type: "buffer", size: 4 }] } : device,
  );
  const { fault } = await inspected(smallStream({ configuration: null, footers: false, described }));
  expect(fault).toMatchObject({ code: "BAD_SECTION", message: expect.stringContaining("'rtc' 1") });
});

function sections(events: readonly InspectEvent[]): readonly SectionEvent[] {
  return events.filter((event) => event.item === "section");
}

/** Counts of a stream whose END section has these records. */
async function countsOf(end: (w: ByteWriter, encoder: RamPageEncoder) => void): Promise<unknown> {
  const { events, fault } = await inspected(smallStream({ end }));
  expect(fault).toBeUndefined();
  return sections(events).find(({ kind }) => kind === "end")!.ram;
}

describe("page records", () => {
  const none = {
    pages: 0,
    zeroPages: 0,
    deltas: 0,
    deltaBytes: 0,
    compressedPages: 0,
    compressedBytes: 0,
    repeats: 0,
    deltasWithoutPage: 0,
    bytes: 0,
  };

  test("a page and a zero page, each with the name of its block", async () => {
    const named = 8 + 1 + "pc.ram".length;
    expect(
      await countsOf((w, encoder) => {
        encoder.page(w, "pc.ram", 0, pageOf(5));
        encoder.zeroPage(w, "pc.ram", PAGE);
      }),
    ).toEqual({ ...none, pages: 1, zeroPages: 1, repeats: 2, bytes: named + PAGE + 8 + 1 });
  });

  test("a delta", async () => {
    expect(await countsOf((w, encoder) => encoder.delta(w, "pc.rom", 0, Uint8Array.of(2, 1, 9)))).toEqual({
      ...none,
      deltas: 1,
      deltaBytes: 8 + 3 + 3,
      repeats: 1,
      bytes: 14,
    });
  });

  test("a page that was compressed alone", async () => {
    const data = deflateSync(pageOf(4));
    const bytes = 8 + 4 + data.length;
    expect(await countsOf((w, encoder) => encoder.compressedPage(w, "pc.rom", 0, data))).toEqual({
      ...none,
      compressedPages: 1,
      compressedBytes: bytes,
      repeats: 1,
      bytes,
    });
  });

  test("a compressed page that cannot be decompressed is a fault", async () => {
    const end = (w: ByteWriter, encoder: RamPageEncoder): void =>
      encoder.compressedPage(w, "pc.rom", 0, Uint8Array.of(1, 2, 3));
    const { fault } = await inspected(smallStream({ end }));
    expect(fault).toMatchObject({ code: "BAD_RAM_PAGE", section: "ram" });
  });
});

describe("postcopy", () => {
  const discard = (block: string, start: number, length: number) => (w: ByteWriter) => {
    encodeCommand(w, { kind: "postcopy-ram-discard", block, ranges: [{ start, length }] });
    encodeCommand(w, { kind: "postcopy-run" });
  };

  test("pages that are taken back are missing until they come again", async () => {
    const { summary } = await inspected(smallStream({ between: discard("pc.ram", PAGE, 3 * PAGE) }));
    expect(summary.discardedPages).toBe(3);
    // The END section brings pages 1 and 3.
    expect(summary.blocks[0]).toMatchObject({ missingPages: 1, firstMissing: 2 * PAGE });
    expect(summary.passes.map(({ phase }) => phase)).toEqual(["precopy", "postcopy"]);
  });

  test.each([
    ["pc.nothing", 0, PAGE, "BAD_RAM_BLOCK"],
    ["pc.ram", 4 * PAGE, PAGE, "BAD_RAM_PAGE"],
  ] as const)("pages of %s from %i on cannot be taken back", async (block, start, length, code) => {
    const { fault } = await inspected(smallStream({ between: discard(block, start, length) }));
    expect(fault).toMatchObject({ code });
  });
});

test("pages that never came are counted for their block", async () => {
  const part = (w: ByteWriter, encoder: RamPageEncoder): void => {
    encoder.zeroPage(w, "pc.ram", 0);
    encoder.zeroPage(w, "pc.ram", 3 * PAGE);
  };
  const { summary } = await inspected(smallStream({ part, end: () => {} }));
  expect(summary.blocks).toMatchObject([
    { name: "pc.ram", missingPages: 2, firstMissing: PAGE },
    { name: "pc.rom", missingPages: 1, firstMissing: 0 },
  ]);
});

test("memory that can grow has no pages behind the last one", async () => {
  const options = {
    configuration: { machineType: "wasm-1" },
    blocks: [{ name: "wasm.ram", length: 4 * PAGE }],
    part: (w: ByteWriter, encoder: RamPageEncoder) => encoder.zeroPage(w, "wasm.ram", 0),
  };
  const last = (page: number) => (w: ByteWriter, encoder: RamPageEncoder) =>
    encoder.page(w, "wasm.ram", page * PAGE, pageOf(1));
  expect((await inspected(smallStream({ ...options, end: last(1) }))).summary.blocks[0]!.missingPages).toBe(
    0,
  );
  expect((await inspected(smallStream({ ...options, end: last(2) }))).summary.blocks[0]!.missingPages).toBe(
    1,
  );
});

test("a section with parts of an unknown kind ends the reading", async () => {
  const whole = smallStream();
  const renamed = Buffer.from(Buffer.from(whole).toString("latin1").replace("\x03ram", "\x03gpu"), "latin1");
  const { fault } = await inspected(renamed);
  expect(fault).toMatchObject({ code: "UNKNOWN_SECTION", message: expect.stringContaining("'gpu' 0") });
});

test("a newer section ram ends the reading", async () => {
  const whole = smallStream();
  const at = Buffer.from(whole).indexOf("\x03ram") + 4 + 4 + 3;
  whole[at] = 99;
  const { fault } = await inspected(whole);
  expect(fault).toMatchObject({
    code: "UNSUPPORTED_SECTION_VERSION",
    message: expect.stringContaining("savevm: unsupported version 99 for 'ram' v4"),
  });
});

test("how much was read of a stream with a fault does not depend on its chunks", async () => {
  const whole = smallStream();
  const at = Buffer.from(whole).indexOf("pc.rom", 4200);
  whole[at] = 0x50;
  for (const chunkBytes of [1, 700, 65_536]) {
    const { events, summary, fault } = await inspected(whole, { chunkBytes });
    expect(fault).toMatchObject({ code: "BAD_RAM_BLOCK", section: "ram" });
    expect(summary.bytes).toBe(at + "pc.rom".length);
    requireGapless(events, summary.bytes);
  }
});

test("an error of the listener is a fault at its place", async () => {
  const listener = {
    event: (event: InspectEvent) => {
      if (event.item === "command") throw new TypeError("a defect");
    },
  };
  await expect(inspected(smallStream(), { listener })).rejects.toThrow("a defect");
});

test("configuration and blocks are told with all that the stream says of them", async () => {
  const blocks = BLOCKS.map((block, index) => ({ ...block, address: index * 2 ** 32 }));
  const configuration = {
    machineType: "q35",
    targetPageBits: 12,
    capabilities: ["x-ignore-shared"],
    uuid: Uint8Array.from({ length: 16 }, (_, index) => index),
  };
  const { events, summary } = await inspected(
    smallStream({ configuration, blocks, part: firstPass, end: secondPass, devices: [GLOBAL_STATE, RTC] }),
  );
  expect(events[1]).toMatchObject({
    item: "configuration",
    machineType: "q35",
    targetPageBits: 12,
    capabilities: ["x-ignore-shared"],
    uuid: "00010203-0405-0607-0809-0a0b0c0d0e0f",
  });
  expect(summary.blocks.map(({ address }) => address)).toEqual([0, 2 ** 32]);
});
