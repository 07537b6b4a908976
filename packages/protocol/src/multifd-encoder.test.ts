import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { openCompressor } from "../test/compressors.ts";
import { fixture, fixtureFile, noRecordings } from "../test/fixtures.ts";
import { decode, PACKET_BYTES, PAGE, pagesBytes, runsOf, UUID } from "../test/multifd-channel.ts";
import { toHex } from "../test/support.ts";
import {
  countPages,
  MULTIFD_HEADER_BYTES,
  MULTIFD_INIT_BYTES,
  MULTIFD_OFFSETS_AT,
  MultifdChannelDecoder,
  MultifdChannelEncoder,
} from "./index.ts";
import type { MultifdInit, MultifdPages, PageRun, StreamCompressor } from "./index.ts";

interface Piece {
  readonly packet: Pick<MultifdPages, "sync" | "packetNumber" | "block" | "runs" | "zeroRuns">;
  readonly pages: Uint8Array;
}

const offsetsOf = (runs: readonly PageRun[]): number[] =>
  runs.flatMap(({ offset, pages }) => Array.from({ length: pages }, (_, n) => offset + n * PAGE));

/** The bytes of a channel, copied piece by piece as they would be sent. */
async function encode(
  encoder: MultifdChannelEncoder,
  init: MultifdInit,
  pieces: readonly Piece[],
): Promise<Uint8Array> {
  const bytes: Uint8Array[] = [encoder.init(init).slice()];
  for (const { packet, pages } of pieces) {
    // What was in it before is to be gone.
    const header = Buffer.alloc(MULTIFD_HEADER_BYTES, 0xee);
    let at = MULTIFD_OFFSETS_AT;
    for (const { offset, pages: count } of [...packet.runs, ...packet.zeroRuns])
      for (let n = 0; n < count; n++) at = header.writeBigUInt64BE(BigInt(offset + n * PAGE), at);
    const payload = await encoder.payload(pages);
    const { sync, packetNumber, block } = packet;
    const counts = { pages: countPages(packet.runs), zeroPages: countPages(packet.zeroRuns) };
    encoder.header(header, { sync, packetNumber, block, ...counts }, payload.length);
    bytes.push(header, payload.slice());
  }
  return Buffer.concat(bytes);
}

describe.skipIf(noRecordings)("a channel recorded from real QEMU becomes the same bytes again", () => {
  /** What is in a channel: its init message, and its packets with their pages. */
  async function pieces(bytes: Uint8Array): Promise<{ init: MultifdInit; pieces: Piece[] }> {
    const inits: MultifdInit[] = [];
    const found: { packet: MultifdPages; pages: Buffer[] }[] = [];
    const decoder = new MultifdChannelDecoder({
      sink: {
        init: (init) => inits.push(init),
        findBlock: () => ({ index: 0, length: 2 ** 40 }),
        page: (_block, _offset, page) => found.at(-1)!.pages.push(Buffer.from(page)),
        zeroPage: () => {},
        sync: async () => {},
        packet: (packet) => {
          if (packet.kind === "pages") found.push({ packet, pages: [] });
        },
      },
    });
    await decoder.push(bytes);
    decoder.end();
    return {
      init: inits[0]!,
      pieces: found.map(({ packet, pages }) => ({ packet, pages: Buffer.concat(pages) })),
    };
  }

  /**
   * 7.2 leaves in a header what was in it before, where this one says nothing: offsets behind the last page, and the
   * block and size of a packet without pages. Makes that zero.
   */
  function withoutLeftovers(channel: Uint8Array): Uint8Array {
    const bytes = Buffer.from(channel);
    for (let at = MULTIFD_INIT_BYTES; at < bytes.length;) {
      const pages = bytes.readUInt32BE(at + 16);
      bytes.fill(0, at + 320 + 8 * pages, at + PACKET_BYTES);
      if (pages === 0) {
        bytes.fill(0, at + 20, at + 24);
        bytes.fill(0, at + 64, at + 320);
      }
      at += PACKET_BYTES + pages * PAGE;
    }
    return bytes;
  }

  test.each([
    ["pc-72-multifd", "5.0", withoutLeftovers],
    ["pc-100-multifd", "9.0", (bytes: Uint8Array) => bytes],
  ] as const)("%s", async (name, layout, expected) => {
    const of = fixture(name);
    for (const channel of [1, 2]) {
      const bytes = fixtureFile(of, `${name}.c${channel}.stream.zst`);
      const read = await pieces(bytes);
      expect(read.pieces.length).toBeGreaterThan(20);
      const again = await encode(new MultifdChannelEncoder({ layout }), read.init, read.pieces);
      expect(Buffer.compare(again, expected(bytes)), `channel ${channel}`).toBe(0);
    }
  });
});

describe.each([
  ["none", "5.0"],
  ["none", "9.0"],
  ["zlib", "5.0"],
  ["zstd", "5.0"],
  ["zstd", "9.0"],
] as const)("%s in the layout of %s", (compression, layout) => {
  const open = (): StreamCompressor | undefined =>
    compression === "none" ? undefined : openCompressor(compression);

  const packet = fc
    .record({
      sync: fc.boolean(),
      packetNumber: fc.maxSafeNat(),
      pages: fc.uniqueArray(fc.nat(511), { maxLength: 128 }),
      zeroPages: layout === "5.0" ? fc.constant(0) : fc.nat(128),
      seed: fc.nat(255),
    })
    .map(({ sync, packetNumber, pages, zeroPages, seed }): Piece => {
      const zero = Math.min(zeroPages, pages.length);
      const offsets = pages.map((page) => page * PAGE);
      return {
        packet: {
          sync,
          packetNumber,
          block: pages.length === 0 ? "" : "pc.ram",
          runs: runsOf(offsets.slice(zero)),
          zeroRuns: runsOf(offsets.slice(0, zero)),
        },
        pages: pagesBytes(pages.length - zero, seed),
      };
    });

  test("what is encoded is decoded as it was", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(packet, { maxLength: 6 }), async (pieces) => {
        const encoder = new MultifdChannelEncoder({ layout, compressor: open() });
        const bytes = await encode(encoder, { uuid: UUID, channel: 7 }, pieces);
        const expected = [`channel 7 ${toHex(UUID)}`];
        for (const {
          packet: { sync, packetNumber, runs, zeroRuns },
          pages,
        } of pieces) {
          for (const offset of offsetsOf(zeroRuns)) expected.push(`zero 0 ${offset} 0`);
          for (const [index, offset] of offsetsOf(runs).entries()) {
            expected.push(`page 0 ${offset} ${toHex(pages.subarray(index * PAGE, (index + 1) * PAGE))}`);
          }
          if (sync) expected.push(`sync ${packetNumber}`);
        }
        expect((await decode([bytes])).join("\n")).toBe(expected.join("\n"));
      }),
      { numRuns: 25 },
    );
  });
});
