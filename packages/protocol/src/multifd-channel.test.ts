import { constants, createDeflate, createZstdCompress } from "node:zlib";
import { describe, expect, test } from "vitest";
import {
  CHANNEL,
  decode,
  NO_PAGES,
  PACKET_BYTES,
  PAGE,
  pageBytes,
  pagesBytes,
  Recorder,
  refused,
  UUID,
  runsOf,
} from "../test/multifd-channel.ts";
import { toHex, written } from "../test/support.ts";
import {
  encodeMultifdInit,
  encodeMultifdPages,
  MigrationError,
  MULTIFD_INIT_BYTES,
  MULTIFD_PACKET_PAGES,
  MultifdChannelDecoder,
} from "./index.ts";
import type { MultifdLayout } from "./index.ts";

const EVENTS = [
  `channel 3 ${toHex(UUID)}`,
  "sync 0",
  `zero 0 ${511 * PAGE} 0`,
  `page 0 0 ${toHex(pageBytes(1))}`,
  `page 0 ${7 * PAGE} ${toHex(pageBytes(2))}`,
  `state vfio 5 ${"09".repeat(37)}`,
  "zero 1 0 0",
  `zero 1 ${PAGE} 0`,
  "sync 2",
  `page 1 ${PAGE} ${toHex(pageBytes(9))}`,
  "sync 3",
];

describe("a channel", () => {
  test("is read whole and byte by byte", async () => {
    expect(await decode([CHANNEL])).toEqual(EVENTS);
    expect(await decode(Array.from(CHANNEL, (byte) => Uint8Array.of(byte)))).toEqual(EVENTS);
  });

  test("is read at every place where the input can be cut", async () => {
    for (let cut = 1; cut < CHANNEL.length; cut++) {
      const events = await decode([CHANNEL.subarray(0, cut), CHANNEL.subarray(cut)]);
      if (events.join("\n") !== EVENTS.join("\n")) throw new Error(`cut at ${cut}`);
    }
  });

  test("ends only between packets", async () => {
    // Where the parts end at which the channel may end.
    const ends = new Set<number>([MULTIFD_INIT_BYTES, MULTIFD_INIT_BYTES + PACKET_BYTES]);
    let at = MULTIFD_INIT_BYTES + PACKET_BYTES;
    for (const bytes of [PACKET_BYTES + 2 * PAGE, 276 + 37, 276, PACKET_BYTES, PACKET_BYTES + PAGE]) {
      at += bytes;
      ends.add(at);
    }
    expect(at).toBe(CHANNEL.length);
    for (let length = 0; length <= CHANNEL.length; length += length < 4000 ? 1 : 97) {
      if (ends.has(length)) continue;
      const error = await refused([CHANNEL.subarray(0, length)]);
      if (error.code !== "TRUNCATED" || error.offset !== length)
        throw new Error(`${length}: ${error.message}`);
    }
    for (const length of ends) await decode([CHANNEL.subarray(0, length)]);
  });

  test("hands on pages that follow each other together, wherever the chunks are cut", async () => {
    class RunRecorder extends Recorder {
      longest = 0;

      pages(block: number, offset: number, bytes: Uint8Array): void {
        this.longest = Math.max(this.longest, bytes.length / PAGE);
        for (let at = 0; at < bytes.length; at += PAGE) {
          this.page(block, offset + at, bytes.subarray(at, at + PAGE));
        }
      }
    }
    const offsets = [3, 4, 5, 9, 8, 20, 21].map((page) => page * PAGE);
    const bytes = written((w) => {
      encodeMultifdInit(w, { uuid: UUID, channel: 0 });
      const payloadBytes = offsets.length * PAGE;
      encodeMultifdPages(w, "5.0", {
        ...NO_PAGES,
        sync: false,
        block: "pc.ram",
        runs: runsOf(offsets),
        payloadBytes,
      });
      w.bytes(pagesBytes(offsets.length, 7));
    });
    const expected = await decode([bytes]);
    expect(expected).toHaveLength(1 + offsets.length);
    for (const size of [bytes.length, PAGE + 1, 2 * PAGE, 10_000, 513]) {
      const recorder = new RunRecorder();
      const decoder = new MultifdChannelDecoder({ sink: recorder });
      for (let at = 0; at < bytes.length; at += size) await decoder.push(bytes.slice(at, at + size));
      decoder.end();
      expect(recorder.events).toEqual(expected);
      if (size === bytes.length) expect(recorder.longest).toBe(3);
    }
  });

  test("waits in a sync, and refuses another push meanwhile", async () => {
    const recorder = new Recorder();
    let goOn = (): void => {};
    recorder.sync = () =>
      new Promise((resolve) => {
        recorder.events.push("waiting");
        goOn = resolve;
      });
    const decoder = new MultifdChannelDecoder({ sink: recorder });
    const pushed = decoder.push(CHANNEL.subarray(0, MULTIFD_INIT_BYTES + 2 * PACKET_BYTES));
    expect(recorder.events.at(-1)).toBe("waiting");
    await expect(decoder.push(new Uint8Array(1))).rejects.toMatchObject({ code: "INTERNAL" });
    expect(() => decoder.end()).toThrow(MigrationError);
    goOn();
    await pushed;
    expect(recorder.events.at(-1)).toBe(`zero 0 ${511 * PAGE} 0`);
  });
});

describe.each([
  ["zlib", "5.0"],
  ["zstd", "9.0"],
] as const)("%s", (compression, layout) => {
  /** Packets of one continuous stream, flushed behind each. */
  async function packed(counts: readonly number[]): Promise<Uint8Array[]> {
    const stream = compression === "zlib" ? createDeflate() : createZstdCompress();
    const flush = compression === "zlib" ? constants.Z_SYNC_FLUSH : constants.ZSTD_e_flush;
    const payloads: Uint8Array[] = [];
    for (const [index, count] of counts.entries()) {
      stream.write(pagesBytes(count, index));
      await new Promise<void>((resolve) => {
        stream.flush(flush, resolve);
      });
      payloads.push(new Uint8Array(stream.read() as Buffer));
    }
    return payloads;
  }

  const counts = [3, MULTIFD_PACKET_PAGES, 1];

  async function channel(layoutOf: MultifdLayout = layout): Promise<Uint8Array> {
    const payloads = await packed(counts);
    return written((w) => {
      encodeMultifdInit(w, { uuid: UUID, channel: 0 });
      for (const [index, payload] of payloads.entries()) {
        const offsets = Array.from({ length: counts[index] ?? 0 }, (_, page) => page * PAGE);
        encodeMultifdPages(w, layoutOf, {
          ...NO_PAGES,
          sync: index === 1,
          compression,
          packetNumber: index,
          block: "pc.ram",
          runs: runsOf(offsets),
          payloadBytes: payload.length,
        });
        w.bytes(payload);
        // A packet without pages in the middle of the stream is not part of it.
        encodeMultifdPages(w, layoutOf, { ...NO_PAGES, packetNumber: 100 + index });
      }
    });
  }

  test("one stream over all packets of a channel", async () => {
    const bytes = await channel();
    const expected = [`channel 0 ${toHex(UUID)}`];
    for (const [index, count] of counts.entries()) {
      for (let page = 0; page < count; page++) {
        expected.push(`page 0 ${page * PAGE} ${toHex(pageBytes(index + page))}`);
      }
      if (index === 1) expected.push(`sync ${index}`);
      expected.push(`sync ${100 + index}`);
    }
    expect(await decode([bytes])).toEqual(expected);
    expect(await decode(Array.from(bytes, (byte) => Uint8Array.of(byte)))).toEqual(expected);
  });

  test("data that is broken, too short or too long is refused", async () => {
    const head = (offsets: number[], payload: Uint8Array) =>
      written((w) => {
        encodeMultifdInit(w, { uuid: UUID, channel: 1 });
        const packet = {
          ...NO_PAGES,
          compression,
          block: "pc.ram",
          runs: runsOf(offsets),
          payloadBytes: payload.length,
        };
        encodeMultifdPages(w, layout, packet);
        w.bytes(payload);
      });
    const [payload] = await packed([2]);
    const cases = [
      head([0], new Uint8Array(30).fill(0xff)),
      head([0, PAGE, 2 * PAGE], payload!),
      head([0], payload!),
    ];
    for (const [index, bytes] of cases.entries()) {
      const size = [PAGE, 3 * PAGE, PAGE][index];
      const text = `A multifd packet cannot be accepted: its ${compression} data does not decompress to ${size} bytes`;
      expect(await refused([bytes])).toMatchObject({ code: "BAD_PACKET", offset: 64 });
      expect((await refused([bytes])).message).toBe(`${text} (section 'multifd channel 1', byte 64)`);
    }
    const decoder = new MultifdChannelDecoder({ sink: new Recorder() });
    const error = MigrationError.from(
      await decoder.push(head([0, PAGE], payload!)).catch((one: unknown) => one),
    );
    expect(error.message).toContain(`its compression ${compression} cannot be undone here`);
  });
});
