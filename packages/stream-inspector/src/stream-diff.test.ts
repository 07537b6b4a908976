import { DEFAULT_LIMITS } from "@peregrine/protocol";
import type { ByteWriter, RamPageEncoder } from "@peregrine/protocol";
import { hash } from "node:crypto";
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
  smallStream,
  UART,
} from "../test/small-stream.ts";
import type { SmallStreamOptions } from "../test/small-stream.ts";
import { PageDigests } from "./page-digests.ts";
import { differences, StreamContents } from "./stream-diff.ts";
import type { StreamDifference } from "./stream-diff.ts";

const NO_DELTAS: SmallStreamOptions = { end: () => {} };

async function contentsOf(options: SmallStreamOptions): Promise<StreamContents> {
  const digests = new PageDigests({ digest: (page) => hash("sha1", page, "buffer") });
  const listener = new StreamContents(DEFAULT_LIMITS, digests);
  const { fault } = await inspected(smallStream(options), { listener, memory: digests });
  expect(fault).toBeUndefined();
  return listener;
}

/** How a stream differs from the small one. */
async function difference(options: SmallStreamOptions): Promise<StreamDifference[]> {
  const [a, b] = [await contentsOf(NO_DELTAS), await contentsOf({ ...NO_DELTAS, ...options })];
  return [...differences(a, b)];
}

test("nothing differs between two streams that hold the same, however they hold it", async () => {
  const part = (w: ByteWriter, encoder: RamPageEncoder): void => {
    encoder.page(w, "pc.ram", 0, pageOf(9));
    firstPass(w, encoder);
    encoder.page(w, "pc.ram", 2 * PAGE, new Uint8Array(PAGE));
  };
  expect(await difference({})).toEqual([]);
  expect(await difference({ part })).toEqual([]);
});

describe("what differs", () => {
  test("in the configuration", async () => {
    const configuration = { machineType: "q35", capabilities: ["x"], uuid: new Uint8Array(16) };
    expect(await difference({ configuration })).toEqual([
      { item: "configuration", field: "machine type", values: ["pc-test", "q35"] },
      { item: "configuration", field: "capabilities", values: [null, "x"] },
      { item: "configuration", field: "uuid", values: [null, "00000000-0000-0000-0000-000000000000"] },
    ]);
  });

  test("in the list of RAM blocks", async () => {
    const blocks = [BLOCKS[0]!, { name: "pc.rom", length: 2 * PAGE }, { name: "vga", length: PAGE }];
    expect(await difference({ blocks })).toEqual([
      { item: "block", block: "pc.rom", values: [PAGE, 2 * PAGE] },
      { item: "block", block: "vga", values: [null, PAGE] },
    ]);
  });

  test("in pages, as ranges", async () => {
    const end = (w: ByteWriter, encoder: RamPageEncoder): void => {
      encoder.page(w, "pc.ram", 0, pageOf(7));
      encoder.zeroPage(w, "pc.ram", PAGE);
      encoder.zeroPage(w, "pc.ram", 3 * PAGE, 1);
    };
    expect(await difference({ end })).toEqual([
      {
        item: "pages",
        block: "pc.ram",
        pages: 4,
        differing: 3,
        ranges: [
          { offset: 0, size: 2 * PAGE },
          { offset: 3 * PAGE, size: PAGE },
        ],
      },
    ]);
  });

  test("in pages, of which the first ranges are named", async () => {
    const blocks = [{ name: "pc.ram", length: 40 * PAGE }];
    const every = (step: number) => (w: ByteWriter, encoder: RamPageEncoder) => {
      for (let page = 0; page < 40; page += step) encoder.page(w, "pc.ram", page * PAGE, pageOf(page));
    };
    const [a, b] = [
      await contentsOf({ blocks, part: every(1), end: () => {} }),
      await contentsOf({ blocks, part: every(2), end: () => {} }),
    ];
    const [pages] = [...differences(a, b)];
    expect(pages).toMatchObject({ differing: 20 });
    expect((pages as StreamDifference & { item: "pages" }).ranges).toHaveLength(8);
  });

  test("in devices that only one has, and in versions", async () => {
    const newer = { ...UART, version: 4 };
    const devices = [newer, GLOBAL_STATE, { ...RTC, instance: 2 }];
    expect(await difference({ devices, described: null })).toEqual([
      { item: "device", device: "uart", values: [3, 4] },
      { item: "device", device: "rtc/1", values: [1, null] },
      { item: "device", device: "rtc/2", values: [null, 1] },
    ]);
  });

  test("in the fields of devices", async () => {
    const payload = UART.payload.with(1, 9).with(12, 254);
    expect(await difference({ devices: [{ ...UART, payload }, RTC, GLOBAL_STATE] })).toEqual([
      { item: "field", device: "uart", path: "divider", type: "uint16", values: [0x0102, 0x0109] },
      { item: "field", device: "uart", path: "line.at", type: "uint64", values: ["255", "254"] },
    ]);
  });

  test("in fields that only one has", async () => {
    const [uart, rtc, globalState] = DESCRIBED;
    const fields = [
      { name: "a", type: "uint8", size: 1 },
      { name: "data", type: "buffer", size: 2 },
    ];
    expect(await difference({ described: [uart!, { ...rtc!, fields }, globalState!] })).toEqual([
      { item: "field", device: "rtc/1", path: "data", type: "buffer", values: ["7e7e00", "7e00"] },
      { item: "field", device: "rtc/1", path: "a", type: "uint8", values: [null, 0x7e] },
    ]);
  });

  test("in the bytes of devices that nothing describes", async () => {
    const payload = RTC.payload.with(2, 1);
    const [a, b] = [
      await contentsOf({ ...NO_DELTAS, described: null }),
      await contentsOf({ ...NO_DELTAS, described: null, devices: [UART, { ...RTC, payload }, GLOBAL_STATE] }),
    ];
    expect([...differences(a, b)]).toEqual([
      { item: "field", device: "rtc/1", path: "", type: "buffer", values: ["7e7e00", "7e7e01"] },
    ]);
  });
});
