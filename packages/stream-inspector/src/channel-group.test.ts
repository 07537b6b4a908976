import { DEFAULT_LIMITS, encodeMultifdInit, encodeMultifdPages } from "@peregrine/protocol";
import type { ByteWriter, MultifdPages, RamPageEncoder } from "@peregrine/protocol";
import { deflateSync } from "node:zlib";
import { expect, test } from "vitest";
import { chunksOf, CODECS, inspected } from "../test/inspected.ts";
import { PAGE, pageOf, smallStream, written } from "../test/small-stream.ts";
import { inspectStream } from "./index.ts";

type Packet = Partial<MultifdPages> & { readonly payload?: Uint8Array };

const SYNC: Packet = { sync: true };

/** A channel with these packets. */
function channel(number: number, ...packets: readonly Packet[]): Uint8Array {
  return written((w) => {
    encodeMultifdInit(w, { uuid: new Uint8Array(16), channel: number });
    for (const [packetNumber, { payload = new Uint8Array(0), ...packet }] of packets.entries()) {
      encodeMultifdPages(w, "9.0", {
        kind: "pages",
        sync: false,
        compression: "none",
        packetNumber,
        block: "pc.ram",
        runs: [],
        zeroRuns: [],
        payloadBytes: payload.length,
        ...packet,
      });
      w.bytes(payload);
    }
  });
}

function pages(...offsets: readonly number[]): Packet {
  return {
    runs: offsets.map((offset) => ({ offset, pages: 1 })),
    payload: Buffer.concat(offsets.map((offset) => pageOf(offset))),
  };
}

const flush = (w: ByteWriter, encoder: RamPageEncoder): void => encoder.multifdFlush(w);

/** A main stream that waits for its channels in its START section and twice in its PART section. */
const FLUSHED = smallStream({
  start: flush,
  part: (w, encoder) => {
    flush(w, encoder);
    flush(w, encoder);
  },
  end: () => {},
});
/** One without: as releases before 8.1, it waits behind each of its three sections. */
const UNFLUSHED = smallStream({ part: () => {}, end: () => {} });

test("pages of several channels are counted, in passes from sync to sync", async () => {
  const channels = [
    channel(0, SYNC, pages(0), { zeroRuns: [{ offset: PAGE, pages: 1 }] }, SYNC, pages(2 * PAGE), SYNC),
    channel(1, SYNC, pages(2 * PAGE, 3 * PAGE), SYNC, SYNC),
  ];
  for (const chunkBytes of [1, 1000, 65_536]) {
    const { summary, fault } = await inspected(UNFLUSHED, { channels, chunkBytes });
    expect(fault).toBeUndefined();
    expect(summary.blocks[0]).toMatchObject({
      missingPages: 0,
      counts: { pages: 4, zeroPages: 1, repeats: 1 },
    });
    expect(summary.passes.map(({ counts }) => [counts.pages, counts.zeroPages, counts.bytes])).toEqual([
      [3, 1, 3 * PAGE],
      [1, 0, PAGE],
    ]);
    expect(
      summary.channels.map((one) => [one.channel, one.packets, one.pages, one.zeroPages, one.syncs]),
    ).toEqual([
      [0, 6, 2, 1, 3],
      [1, 4, 2, 0, 3],
    ]);
    expect(summary.channels.map(({ bytes }) => bytes)).toEqual(channels.map(({ length }) => length));
  }
});

test("where the main stream has records for it, channels are waited for there and nowhere else", async () => {
  const channels = [channel(0, SYNC, pages(0), SYNC, pages(0), SYNC)];
  const { summary, fault } = await inspected(FLUSHED, { channels });
  expect(fault).toBeUndefined();
  expect(summary.multifdFlushes).toBe(3);
  expect(summary.passes.map(({ counts }) => counts.pages)).toEqual([1, 1]);
});

test("compressed packets are decompressed", async () => {
  const payload = deflateSync(Buffer.concat([pageOf(1), pageOf(2)]), { finishFlush: 2 });
  const packet: Packet = { compression: "zlib", runs: [{ offset: 0, pages: 2 }], payload };
  const { summary, fault } = await inspected(UNFLUSHED, { channels: [channel(4, SYNC, packet, SYNC, SYNC)] });
  expect(fault).toBeUndefined();
  expect(summary.channels).toMatchObject([{ channel: 4, compression: "zlib", pages: 2 }]);
  expect(summary.blocks[0]!.counts).toMatchObject({ pages: 2, bytes: payload.length });
});

test("a channel that ends before the main stream is a fault", async () => {
  const { fault } = await inspected(UNFLUSHED, {
    channels: [channel(0, SYNC, SYNC, SYNC), channel(1, SYNC)],
  });
  expect(fault).toMatchObject({
    code: "TRUNCATED",
    message: "Multifd channel 1 ended where a sync was expected: the main stream waits for it",
  });
});

test("a channel that goes on behind the main stream is a fault", async () => {
  const { fault } = await inspected(UNFLUSHED, { channels: [channel(0, SYNC, SYNC, SYNC, SYNC)] });
  expect(fault).toMatchObject({
    code: "UNEXPECTED_DATA",
    message: "Multifd channel 0 has a sync that the main stream does not have",
  });
});

test("a channel that is cut off is a fault", async () => {
  const whole = channel(0, SYNC, pages(0), SYNC, SYNC);
  for (const length of [10, 64, 2000, whole.length - 1]) {
    const { fault } = await inspected(UNFLUSHED, { channels: [whole.subarray(0, length)] });
    expect(fault).toMatchObject({ code: "TRUNCATED" });
  }
});

test("one channel given twice is a fault", async () => {
  const { fault } = await inspected(UNFLUSHED, { channels: [channel(3, SYNC), channel(3, SYNC)] });
  expect(fault).toMatchObject({
    code: "BAD_PACKET",
    message: expect.stringContaining("Two files are multifd channel 3"),
  });
});

test("a block that the main stream does not have is a fault", async () => {
  const packet: Packet = { ...pages(0), block: "vga" };
  const { fault } = await inspected(UNFLUSHED, { channels: [channel(0, SYNC, packet)] });
  expect(fault).toMatchObject({ code: "BAD_RAM_BLOCK", section: "multifd channel 0" });
});

test("a fault of the main stream does not wait for the channels", async () => {
  const cut = UNFLUSHED.subarray(0, 60);
  const { fault } = await inspected(cut, { channels: [channel(0, SYNC, SYNC, SYNC)] });
  expect(fault).toMatchObject({ code: "TRUNCATED", section: "ram" });
});

test("no channel is read any more when the reading has ended, wherever each of them was", async () => {
  let open = 0;
  async function* counted(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
    open += 1;
    try {
      yield* chunksOf(bytes, 700);
    } finally {
      open -= 1;
    }
  }
  const channels = [
    channel(0, SYNC, pages(0), SYNC, SYNC),
    channel(1, pages(PAGE, 2 * PAGE), pages(0), SYNC),
  ];
  for (const length of [0, 60, UNFLUSHED.length]) {
    const { fault } = await inspectStream(
      { main: chunksOf(UNFLUSHED.subarray(0, length), 10), channels: channels.map(counted), fileOffset: 0 },
      { limits: DEFAULT_LIMITS, codecs: CODECS },
    );
    expect(fault).toBeDefined();
    expect(open).toBe(0);
  }
});
