import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { KERNELS } from "../test/kernels.ts";
import {
  CHANNEL,
  decode,
  NO_PAGES,
  PAGE,
  pagesBytes,
  Recorder,
  runsOf,
  UUID,
} from "../test/multifd-channel.ts";
import { refusal, written } from "../test/support.ts";
import {
  encodeMultifdInit,
  encodeMultifdPages,
  MULTIFD_HEADER_BYTES,
  MULTIFD_INIT_BYTES,
  MultifdChannelDecoder,
  OFFSET_COUNTER_BYTES,
  workMemoryBytes,
} from "./index.ts";

const packets = fc.array(
  fc.record({
    pages: fc.uniqueArray(fc.nat(20), { maxLength: 8 }),
    zero: fc.nat(2),
    sync: fc.boolean(),
  }),
  { maxLength: 5 },
);

/** A channel with these packets. */
const channelOf = (list: readonly { pages: readonly number[]; zero: number; sync: boolean }[]): Uint8Array =>
  written((w) => {
    encodeMultifdInit(w, { uuid: UUID, channel: 0 });
    for (const [packetNumber, { pages, zero, sync }] of list.entries()) {
      const offsets = pages.map((page) => page * PAGE);
      const raw = offsets.slice(zero);
      const payloadBytes = raw.length * PAGE;
      const block = pages.length === 0 ? "" : "pc.ram";
      const runs = { runs: runsOf(raw), zeroRuns: runsOf(offsets.slice(0, zero)) };
      encodeMultifdPages(w, "9.0", { ...NO_PAGES, ...runs, sync, packetNumber, block, payloadBytes });
      w.bytes(pagesBytes(raw.length, packetNumber));
    }
  });

describe.each(KERNELS)("pages that are put in their places without the decoder, %s", (_name, open) => {
  test("are where they would be otherwise, however they come", async () => {
    let placed = 0;
    await fc.assert(
      fc.asyncProperty(
        packets,
        fc.array(fc.integer({ min: 1, max: 9000 }), { minLength: 1 }),
        async (list, sizes) => {
          const bytes = channelOf(list);
          const expected = await decode([bytes]);
          const recorder = new Recorder();
          const kernel = open(workMemoryBytes([OFFSET_COUNTER_BYTES]));
          const decoder = new MultifdChannelDecoder({ sink: recorder, kernel });
          const memory = new Uint8Array(512 * PAGE);
          let at = 0;
          for (let turn = 0; at < bytes.length; turn++) {
            const size = sizes[turn % sizes.length]!;
            const awaited = decoder.awaitedPages;
            if (awaited === undefined) {
              const most = decoder.bytesToPages;
              expect(most === undefined || most > 0).toBe(true);
              const chunk = bytes.slice(at, at + Math.min(size, most ?? size));
              await decoder.decode(chunk);
              at += chunk.length;
              continue;
            }
            expect(decoder.bytesToPages).toBe(0);
            let { had } = awaited;
            let left = size;
            let taken = 0;
            for (const { offset, pages } of awaited.runs) {
              const length = Math.min(pages * PAGE - had, left);
              memory.set(bytes.subarray(at + taken, at + taken + length), offset + had);
              // A page that is complete is what a sink would have been given.
              for (let page = 0; page < pages; page++) {
                const end = (page + 1) * PAGE;
                if (end > had && end <= had + length)
                  recorder.page(
                    awaited.block,
                    offset + page * PAGE,
                    memory.slice(offset + page * PAGE, offset + end),
                  );
              }
              taken += length;
              left -= length;
              had = 0;
            }
            await decoder.placed(taken);
            at += taken;
            placed += taken;
          }
          decoder.end();
          expect(recorder.events).toEqual(expected);
        },
      ),
    );
    expect(placed).toBeGreaterThan(100 * PAGE);
  });
});

test("what was not awaited cannot be placed, and a part of a page is not taken as a chunk", async () => {
  const decoder = new MultifdChannelDecoder({ sink: new Recorder() });
  expect(decoder.awaitedPages).toBeUndefined();
  expect(refusal(() => void decoder.placed(1)).code).toBe("INTERNAL");
  const head = MULTIFD_INIT_BYTES + 2 * MULTIFD_HEADER_BYTES;
  await decoder.push(CHANNEL.slice(0, head));
  expect(decoder.awaitedPages).toEqual({ block: 0, runs: runsOf([0, 7 * PAGE]), had: 0 });
  expect(refusal(() => void decoder.placed(2 * PAGE + 1)).code).toBe("INTERNAL");
  expect(decoder.placed(100)).toBeUndefined();
  expect(decoder.awaitedPages).toEqual({ block: 0, runs: runsOf([0, 7 * PAGE]), had: 100 });
  expect(refusal(() => void decoder.decode(CHANNEL.slice(head + 100, head + 200))).code).toBe("INTERNAL");
});

test("errors behind pages that were placed tell where they are", async () => {
  const decoder = new MultifdChannelDecoder({ sink: new Recorder() });
  const head = MULTIFD_INIT_BYTES + 2 * MULTIFD_HEADER_BYTES;
  await decoder.push(CHANNEL.slice(0, head));
  await decoder.placed(2 * PAGE);
  await expect(decoder.push(new Uint8Array(12))).rejects.toMatchObject({
    code: "NOT_A_STREAM",
    section: "multifd channel 3",
    offset: head + 2 * PAGE,
  });
});
