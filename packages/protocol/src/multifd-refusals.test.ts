import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { CHANNEL, decode, NO_PAGES, PACKET_BYTES, PAGE, Recorder, refused } from "../test/multifd-channel.ts";
import { chunked, fromHex, refusal, written } from "../test/support.ts";
import {
  encodeMultifdInit,
  encodeMultifdPages,
  MigrationError,
  MULTIFD_INIT_BYTES,
  MultifdChannelDecoder,
} from "./index.ts";
import type { MultifdSink } from "./index.ts";

describe("refusals", () => {
  const INIT = CHANNEL.subarray(0, MULTIFD_INIT_BYTES);
  const SYNC = CHANNEL.subarray(MULTIFD_INIT_BYTES, MULTIFD_INIT_BYTES + PACKET_BYTES);
  const PAGES = CHANNEL.subarray(MULTIFD_INIT_BYTES + PACKET_BYTES);
  /** The packet with bytes of its header changed. */
  function changed(at: number, hex: string, packet = PAGES): Uint8Array {
    const bytes = packet.slice();
    bytes.set(fromHex(hex), at);
    return bytes;
  }
  const ACCEPT = "A multifd packet cannot be accepted: ";

  test.each([
    [
      "another magic",
      0,
      "5145564d",
      "NOT_A_STREAM",
      "A multifd channel has the magic 0x5145564d where 0x11223344 belongs",
    ],
    ["another version", 4, "00000002", "UNSUPPORTED_VERSION", "SaveVM v2 format"],
    ["unknown flags", 8, "00000100", "BAD_PACKET", `${ACCEPT}its flags 0x100 are unknown`],
    [
      "a compression that is not known",
      8,
      "00000008",
      "BAD_PACKET",
      `${ACCEPT}its compression 0x8 is not known`,
    ],
    ["two compressions", 8, "00000006", "BAD_PACKET", `${ACCEPT}its compression 0x6 is not known`],
    ["device state with a sync", 8, "00000041", "BAD_PACKET", `${ACCEPT}flags 0x41 do not go together`],
    [
      "too many slots",
      12,
      "00000081",
      "LIMIT_EXCEEDED",
      "129 page slots of a multifd packet are more than the limit of 128",
    ],
    [
      "more pages than slots",
      16,
      "00000080",
      "BAD_PACKET",
      `${ACCEPT}it names 129 pages and has room for 128`,
    ],
    [
      "a count of 32 bits",
      16,
      "ffffffff",
      "BAD_PACKET",
      `${ACCEPT}it names 4294967296 pages and has room for 128`,
    ],
    ["a name without end", 64, "61".repeat(256), "BAD_PACKET", `${ACCEPT}its name has no end`],
    ["an unknown block", 64, "6162", "BAD_RAM_BLOCK", 'Unknown ramblock "ab.ram", cannot accept migration'],
    [
      "an offset inside a page",
      320,
      "0000000000000001",
      "BAD_PACKET",
      `${ACCEPT}0x1 is not the offset of a page`,
    ],
    ["an offset behind the block", 320, "0000000000200000", "BAD_RAM_PAGE", "Illegal RAM offset 200000"],
    ["a zero page behind the block", 336, "0000000000200000", "BAD_RAM_PAGE", "Illegal RAM offset 200000"],
  ])("%s", async (_name, at, hex, code, text) => {
    for (const before of [[INIT, SYNC], [INIT]]) {
      const packet = changed(at, hex);
      const offset = before.reduce((sum, one) => sum + one.length, 0);
      const error = await refused([...before, packet]);
      expect(error).toMatchObject({ code, offset, section: "multifd channel 3" });
      expect(error.message.startsWith(text)).toBe(true);
    }
  });

  test("more compressed bytes than a packet can have, before they are waited for", async () => {
    const error = await refused([INIT, changed(8, "00000004").fill(0xff, 20, 24)]);
    expect(error.message).toContain(
      "4294967295 bytes of pages in a multifd packet are more than the limit of 1048576",
    );
  });

  test("another compression in the middle of a channel", async () => {
    const bytes = changed(8, "00000002").fill(0, 20, 24);
    const error = await refused([INIT, PAGES.subarray(0, PACKET_BYTES + 2 * PAGE), bytes]);
    expect(error.message).toContain("its compression is zlib and that of the channel none");
  });

  test("device state where nobody takes it", async () => {
    const whole = new Recorder();
    const rest: MultifdSink = {
      init: (init) => whole.init(init),
      findBlock: (name) => whole.findBlock(name),
      page: () => {},
      zeroPage: () => {},
      sync: () => Promise.resolve(),
    };
    expect((await refused([CHANNEL], { sink: rest })).message).toContain(
      "device state of 'vfio' cannot be loaded from a multifd channel here",
    );
  });

  test("the init message of something else; and every call after an error repeats it", async () => {
    const decoder = new MultifdChannelDecoder({ sink: new Recorder() });
    const first = decoder.push(fromHex("5145564d00000003".padEnd(128, "0")));
    await expect(first).rejects.toMatchObject({
      code: "NOT_A_STREAM",
      section: "multifd channel",
      offset: 0,
    });
    const error: unknown = await first.catch((one: unknown) => one);
    expect(await decoder.push(CHANNEL).catch((one: unknown) => one)).toBe(error);
    expect(refusal(() => decoder.end())).toBe(error);
  });

  test("an error of the sink that is not a MigrationError passes as it is", async () => {
    const marker = new Error("a defect");
    const sink = new Recorder();
    sink.page = () => {
      throw marker;
    };
    const decoder = new MultifdChannelDecoder({ sink });
    await expect(decoder.push(CHANNEL.slice())).rejects.toBe(marker);
    await expect(decoder.push(CHANNEL.slice())).rejects.toBe(marker);
  });

  test("what does not fit the format is refused before it is sent", () => {
    const mistakes: readonly (() => void)[] = [
      () => written((w) => encodeMultifdInit(w, { uuid: new Uint8Array(4), channel: 0 })),
      () => written((w) => encodeMultifdPages(w, "9.0", { ...NO_PAGES, runs: [{ offset: 0, pages: 129 }] })),
      () =>
        written((w) => encodeMultifdPages(w, "5.0", { ...NO_PAGES, zeroRuns: [{ offset: 0, pages: 1 }] })),
      () => written((w) => encodeMultifdPages(w, "9.0", { ...NO_PAGES, block: "n".repeat(256) })),
    ];
    for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
  });
});

test("whatever the input, the answer is a MigrationError or none", async () => {
  const change = fc.record({
    at: fc.oneof(fc.nat(2 * PACKET_BYTES), fc.nat(CHANNEL.length - 1)),
    by: fc.integer({ min: 1, max: 255 }),
    remove: fc.nat(2),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.array(change, { minLength: 1, maxLength: 3 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 6 }),
      async (changes, cuts) => {
        let bytes = [...CHANNEL];
        for (const { at, by, remove } of changes) {
          bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ by;
          bytes = bytes.toSpliced(at + 1, remove);
        }
        try {
          await decode(chunked(Uint8Array.from(bytes), cuts));
        } catch (error) {
          if (!MigrationError.is(error)) throw error;
          expect(error.code).not.toBe("INTERNAL");
          expect(error.offset).toBeTypeOf("number");
        }
      },
    ),
    { numRuns: 500 },
  );
});
