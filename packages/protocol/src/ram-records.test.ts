import * as fc from "fast-check";
import { deflateSync, inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decodePayload, RamRecorder } from "../test/ram-payload.ts";
import { chunked, fromHex, refusal, toHex, written } from "../test/support.ts";
import {
  DEFAULT_LIMITS,
  DeltaPage,
  encodeDelta,
  encodeRamBlockEntry,
  encodeRamBlockList,
  encodeRamTotal,
  MigrationError,
  placeMappedBlock,
  RamPageEncoder,
  setMappedPage,
} from "./index.ts";
import type { ByteWriter, InflatePage, ListedRamBlock, RamDecoderOptions, RamSink } from "./index.ts";

const PAGE = 4096;
const BLOCKS: readonly ListedRamBlock[] = [
  { name: "pc.ram", length: 4 * PAGE },
  { name: "vga.vram", length: PAGE },
];
const FIRST = Uint8Array.from({ length: PAGE }, (_, index) => index * 3);
const SECOND = FIRST.map((byte, index) => (index % 1000 === 7 ? byte + 1 : byte));
const PACKED = new Uint8Array(deflateSync(FIRST));
const inflate: InflatePage = (data, size) => new Uint8Array(inflateSync(data, { maxOutputLength: size }));

function deltaOf(old: Uint8Array, page: Uint8Array): Uint8Array {
  const target = new Uint8Array(PAGE);
  return target.subarray(0, encodeDelta(new DeltaPage(old), new DeltaPage(page), target));
}

/** One of every record. */
const PAYLOAD = written((w) => {
  const encoder = new RamPageEncoder();
  encodeRamBlockList(w, BLOCKS);
  encoder.multifdFlush(w);
  encoder.page(w, "pc.ram", PAGE, FIRST);
  encoder.delta(w, "pc.ram", PAGE, deltaOf(FIRST, SECOND));
  encoder.zeroPage(w, "vga.vram", 0, 0x20);
  encoder.delta(w, "vga.vram", 0, fromHex("0001aa"));
  encoder.compressedPage(w, "pc.ram", 0, PACKED);
  encoder.compressedPage(w, "pc.ram", 3 * PAGE, PACKED);
  encoder.endOfSection(w);
});

function afterList(write: (w: ByteWriter, encoder: RamPageEncoder) => void): Uint8Array {
  return written((w) => {
    const encoder = new RamPageEncoder();
    encodeRamBlockList(w, BLOCKS);
    encoder.zeroPage(w, "pc.ram", 0);
    write(w, encoder);
    encoder.endOfSection(w);
  });
}

describe("records", () => {
  const changed = new Uint8Array(PAGE).fill(0x20);
  changed[0] = 0xaa;

  test("every record is read, at every place where the input can be cut", () => {
    const expected = [
      { blocks: BLOCKS },
      "flush",
      { page: [0, PAGE, toHex(FIRST)] },
      { encoded: ["xbzrle", 0, PAGE, toHex(deltaOf(FIRST, SECOND))] },
      { page: [0, PAGE, toHex(SECOND)] },
      { zero: [1, 0, 0x20] },
      { encoded: ["xbzrle", 1, 0, "0001aa"] },
      { page: [1, 0, toHex(changed)] },
      { encoded: ["zlib", 0, 0, toHex(PACKED)] },
      { page: [0, 0, toHex(FIRST)] },
      { encoded: ["zlib", 0, 3 * PAGE, toHex(PACKED)] },
      { page: [0, 3 * PAGE, toHex(FIRST)] },
    ];
    const whole = new RamRecorder();
    expect(decodePayload([PAYLOAD], whole, { inflate })).toBe(true);
    expect(whole.events).toEqual(expected);
    const text = JSON.stringify(whole.events);
    for (let cut = 1; cut < PAYLOAD.length; cut++) {
      const recorder = new RamRecorder();
      const complete = decodePayload([PAYLOAD.subarray(0, cut), PAYLOAD.subarray(cut)], recorder, {
        inflate,
      });
      if (!complete || JSON.stringify(recorder.events) !== text) throw new Error(`cut at ${cut}`);
    }
    const single = new RamRecorder();
    expect(
      decodePayload(
        Array.from(PAYLOAD, (byte) => Uint8Array.of(byte)),
        single,
        { inflate },
      ),
    ).toBe(true);
    expect(single.events).toEqual(expected);
  });

  test("a sink that takes encoded pages as they are is given no page", () => {
    const pages: number[] = [];
    const encodings: string[] = [];
    const sink: RamSink = {
      blockList: () => {},
      zeroPage: () => {},
      page: (_block, offset) => pages.push(offset),
      multifdFlush: () => true,
      encodedPage: (_block, _offset, encoding) => {
        encodings.push(encoding);
        return false;
      },
    };
    expect(decodePayload([PAYLOAD], sink)).toBe(true);
    expect(pages).toEqual([PAGE]);
    expect(encodings).toEqual(["xbzrle", "xbzrle", "zlib", "zlib"]);
  });

  test("a flush that has to wait stops the decoding until it is called again", () => {
    let flushes = 0;
    const sink: RamSink = Object.assign(new RamRecorder(), {
      multifdFlush: () => {
        flushes++;
        return false;
      },
    });
    const bytes = afterList((w, encoder) => encoder.multifdFlush(w));
    expect(decodePayload([bytes], sink)).toBe(false);
    expect(flushes).toBe(1);
    expect(decodePayload([bytes, new Uint8Array(0)], sink)).toBe(true);
    expect(flushes).toBe(2);
  });
});

describe("refusals", () => {
  const AT = afterList(() => {}).length - 8;
  const cases: Record<string, readonly [write: (w: ByteWriter) => void, code: string, text: string]> = {
    "a delta of no bytes": [
      (w) => w.bytes(fromHex("0000000000001060010000")),
      "BAD_RAM_PAGE",
      "Failed to load XBZRLE page - decode error!",
    ],
    "a compressed page that is too long": [
      (w) => w.bytes(fromHex("00000000000011200000100f")),
      "LIMIT_EXCEEDED",
      "4111 bytes of a compressed page are more than the limit of 4110",
    ],
    "a compressed page that is none": [
      (w) => w.bytes(fromHex("000000000000112000000003aabbcc")),
      "BAD_RAM_PAGE",
      "A compressed page cannot be decompressed to 4096 bytes",
    ],
    "a compressed page that is too short": [
      (w) => {
        const short = deflateSync(FIRST.subarray(1));
        w.be64(0x1120);
        w.be32(short.length);
        w.bytes(short);
      },
      "BAD_RAM_PAGE",
      "A compressed page cannot be decompressed to 4096 bytes",
    ],
    "a compressed page that is too large": [
      (w) => {
        const large = deflateSync(new Uint8Array(PAGE + 1));
        w.be64(0x1120);
        w.be32(large.length);
        w.bytes(large);
      },
      "BAD_RAM_PAGE",
      "A compressed page cannot be decompressed to 4096 bytes",
    ],
    "a flush with an offset": [(w) => w.be64(0x1200), "BAD_RAM_PAGE", "Illegal RAM offset 1000"],
    "a flush that continues a block": [
      (w) => w.be64(0x220),
      "BAD_RAM_PAGE",
      "Unknown combination of migration flags: 0x220",
    ],
    "a delta beyond its block": [(w) => w.be64(0x4060), "BAD_RAM_PAGE", "Illegal RAM offset 4000"],
  };

  test.each(Object.entries(cases))("%s", (_name, [write, code, text]) => {
    const bytes = afterList(write);
    for (const chunks of [[bytes], Array.from(bytes, (byte) => Uint8Array.of(byte))]) {
      const error = refusal(() => decodePayload(chunks, new RamRecorder(), { inflate }));
      expect(error).toMatchObject({ code, message: text, offset: AT, section: "ram" });
    }
  });

  const plain: RamSink = { blockList: () => {}, zeroPage: () => {}, page: () => {} };
  test.each([
    ["deltas", "0x40", (w: ByteWriter) => w.bytes(fromHex("00000000000010600100030001aa"))],
    ["compressed pages", "0x100", (w: ByteWriter) => w.bytes(fromHex("000000000000112000000000"))],
    ["flushes", "0x200", (w: ByteWriter) => w.be64(0x200)],
  ])("%s, where they cannot be handled", (_name, flag, write) => {
    const error = refusal(() => decodePayload([afterList(write)], plain));
    expect(error.message).toBe(`Unknown combination of migration flags: ${flag}`);
  });

  test("what does not fit the format is refused before it is sent", () => {
    const encoder = new RamPageEncoder();
    const mapped = { pageSize: PAGE, bitmapOffset: 0, pagesOffset: 0 };
    const mistakes: readonly ((w: ByteWriter) => void)[] = [
      (w) => encoder.delta(w, "pc.ram", 0, new Uint8Array(0)),
      (w) => encoder.delta(w, "pc.ram", 0, new Uint8Array(PAGE + 1)),
      (w) => encoder.compressedPage(w, "pc.ram", 0, new Uint8Array(4111)),
      (w) => encodeRamBlockList(w, [{ name: "pc.ram", length: PAGE, mapped }]),
    ];
    for (const mistake of mistakes) expect(refusal(() => written(mistake)).code).toBe("INTERNAL");
  });
});

/** A mapped-ram file of which the list begins at `listAt`, and what it holds. */
function mappedFile(blocks: readonly ListedRamBlock[], present: (page: number) => boolean, listAt: number) {
  const w = { total: written((one) => encodeRamTotal(one, blocks)) };
  const parts: [at: number, bytes: Uint8Array][] = [[listAt, w.total]];
  const pages: [block: number, offset: number, hex: string | undefined][] = [];
  const listed: ListedRamBlock[] = [];
  let at = listAt + w.total.length;
  for (const [index, block] of blocks.entries()) {
    const bare = written((one) => encodeRamBlockEntry(one, block));
    const { header, end } = placeMappedBlock(at + bare.length, block.length);
    const entry = { ...block, mapped: header };
    listed.push(entry);
    parts.push([at, written((one) => encodeRamBlockEntry(one, entry))]);
    const bitmap = new Uint8Array(header.pagesOffset - header.bitmapOffset).subarray(0, 8);
    for (let page = 0; page < block.length / PAGE; page++) {
      setMappedPage(bitmap, page, true);
      setMappedPage(bitmap, page, present(page));
      const bytes = new Uint8Array(PAGE).fill(page + 1);
      parts.push([header.pagesOffset + page * PAGE, bytes]);
      pages.push([index, page * PAGE, present(page) ? toHex(bytes) : undefined]);
    }
    parts.push([header.bitmapOffset, bitmap]);
    at = end;
  }
  parts.push([at, written((one) => new RamPageEncoder().endOfSection(one))]);
  const file = new Uint8Array(at + 8).fill(0xdd);
  for (const [where, bytes] of parts) file.set(bytes, where);
  return { file, pages, listed };
}

describe("longer forms of the block list", () => {
  test("page sizes and addresses, at every place where the input can be cut", () => {
    const blocks: readonly ListedRamBlock[] = [
      { name: "pc.ram", length: 2 * PAGE, pageSize: 2 ** 21, address: 2 ** 32 },
      { name: "vga.vram", length: PAGE, address: 0xfd000000 },
    ];
    const bytes = written((w) => {
      encodeRamBlockList(w, blocks);
      new RamPageEncoder().endOfSection(w);
    });
    const blockListForm = { carriesPageSize: (name: string) => name === "pc.ram", addresses: true };
    for (let cut = 1; cut <= bytes.length; cut++) {
      const recorder = new RamRecorder();
      expect(decodePayload(chunked(bytes, [cut]), recorder, { blockListForm })).toBe(true);
      expect(recorder.events).toEqual([{ blocks }]);
    }
  });

  test("a mapped-ram file, wherever the stream begins in it, whatever its chunks", () => {
    fc.assert(
      fc.property(
        fc.nat(3000),
        fc.nat(1000),
        fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
        fc.array(fc.integer({ min: 1, max: 400_000 }), { maxLength: 12 }),
        (fileOffset, before, bits, cuts) => {
          const { file, pages, listed } = mappedFile(
            BLOCKS,
            (page) => bits[page] ?? false,
            fileOffset + before,
          );
          const recorder = new RamRecorder();
          const chunks = chunked(file.subarray(fileOffset + before), cuts);
          const options = { blockListForm: { mapped: true }, fileOffset: fileOffset + before };
          expect(decodePayload(chunks, recorder, options)).toBe(true);
          const pageEvents = pages.map(([block, offset, hex]) =>
            hex === undefined ? { zero: [block, offset, 0] } : { page: [block, offset, hex] },
          );
          expect(recorder.events).toEqual([
            { mapped: [0, listed[0]] },
            ...pageEvents.slice(0, 4),
            { mapped: [1, listed[1]] },
            ...pageEvents.slice(4),
            { blocks: listed },
          ]);
        },
      ),
      { numRuns: 20 },
    );
  });

  test("a shared block has neither bitmap nor pages in the file", () => {
    const mapped = { pageSize: PAGE, bitmapOffset: 0, pagesOffset: 0 };
    const blocks = [{ name: "shared", length: PAGE, address: 0, mapped }];
    const bytes = written((w) => {
      encodeRamTotal(w, blocks);
      encodeRamBlockEntry(w, blocks[0]!);
      new RamPageEncoder().endOfSection(w);
    });
    const recorder = new RamRecorder();
    expect(decodePayload([bytes], recorder, { blockListForm: { addresses: true, mapped: true } })).toBe(true);
    expect(recorder.events).toEqual([{ mapped: [0, blocks[0]] }, { blocks }]);
  });

  const header = (version: string, size: string, bitmap: string, pages: string) =>
    "0000000000001004016100000000000010 00".replace(" ", "") + version + size + bitmap + pages;
  const SIZE = "0000000000001000";
  const options: Partial<RamDecoderOptions> = { blockListForm: { mapped: true } };
  test.each([
    [
      "another version",
      header("00000002", SIZE, "0000000000001000", "0000000000100000"),
      "RAM block 'a' cannot be accepted: its mapped-ram header has version 2, not 1",
    ],
    [
      "another page size",
      header("00000001", "0000000000010000", "0000000000001000", "0000000000100000"),
      "RAM block 'a' cannot be accepted: its pages have 65536 bytes, not 4096",
    ],
    [
      "a bitmap in its own header",
      header("00000001", SIZE, "000000000000002d", "0000000000100000"),
      "RAM block 'a' cannot be accepted: its bitmap at 0x2d and its pages at 0x100000 overlap each other or what comes before them",
    ],
    [
      "pages in the bitmap",
      header("00000001", SIZE, "0000000000001000", "0000000000001007"),
      "RAM block 'a' cannot be accepted: its bitmap at 0x1000 and its pages at 0x1007 overlap each other or what comes before them",
    ],
  ])("%s is refused", (_name, hex, text) => {
    const error = refusal(() => decodePayload([fromHex(hex)], new RamRecorder(), options));
    expect(error).toMatchObject({ code: "BAD_RAM_BLOCK", message: text, offset: 8, section: "ram" });
  });

  test("a bitmap beyond the limit, and a receiver that cannot read such files", () => {
    const hex = header("00000001", SIZE, "0000000000001000", "0000000000100000");
    const limits = { ...DEFAULT_LIMITS, maxItemBytes: 7 };
    const error = refusal(() => decodePayload([fromHex(hex)], new RamRecorder(), { ...options, limits }));
    expect(error.message).toBe("8 bytes of bitmap are more than the limit of 7");
    const plain: RamSink = { blockList: () => {}, zeroPage: () => {}, page: () => {} };
    expect(refusal(() => decodePayload([fromHex(hex)], plain, options)).message).toBe(
      "RAM block 'a' cannot be accepted: a mapped-ram file cannot be read here",
    );
  });
});

test("whatever the records are, the answer is a MigrationError or none", () => {
  const change = fc.record({ at: fc.nat(), by: fc.integer({ min: 1, max: 255 }), remove: fc.nat(3) });
  fc.assert(
    fc.property(
      fc.array(change, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 3000 }), { maxLength: 6 }),
      fc.record({ addresses: fc.boolean(), mapped: fc.boolean() }),
      (changes, cuts, blockListForm) => {
        let bytes = [...PAYLOAD];
        for (const { at, by, remove } of changes) {
          const where = at % bytes.length;
          bytes[where] = (bytes[where] ?? 0) ^ by;
          bytes = bytes.toSpliced(where + 1, remove);
        }
        try {
          decodePayload(chunked(Uint8Array.from(bytes), cuts), new RamRecorder(), { inflate, blockListForm });
        } catch (error) {
          if (!MigrationError.is(error)) throw error;
          expect(error.code).not.toBe("INTERNAL");
        }
      },
    ),
    { numRuns: 500 },
  );
});
