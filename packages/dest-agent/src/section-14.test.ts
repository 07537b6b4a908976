import { RamPageEncoder } from "@peregrine/protocol";
import type { ByteWriter } from "@peregrine/protocol";
import { beforeAll, expect, test } from "vitest";
import { feed } from "../test/in-process.ts";
import { SMALL, stoppedSource } from "../test/machines.ts";
import { configuration, fullSection, ramPart, ramStart, TestStream } from "../test/stream-maker.ts";

let stream: TestStream;

beforeAll(async () => {
  stream = await TestStream.of((await stoppedSource(SMALL)).machine);
});

const EMPTY = new Uint8Array(0);
const BLOCKS = [
  { name: "test.ram", length: 8 * 4096 },
  { name: "test.rom", length: 4096 },
];
/** Type, id, counted name, instance and version of `ram`. */
const RAM_HEADER_BYTES = 17;
/** Type and id. */
const PART_HEADER_BYTES = 5;
const UNKNOWN_DEVICE =
  "Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices";

interface Row {
  readonly changed: () => TestStream;
  readonly code: string;
  readonly text: string;
  /** Name of the piece in which, and at which byte of it, the offset lies. */
  readonly at: readonly [piece: string, byte: number];
  readonly section?: string;
  readonly lastGood?: string;
}

const header = (version: number): Uint8Array => Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, version);
const device = { id: 9, name: "test-guest", instance: 0, version: 1 };
const withRecords = (records: (w: ByteWriter) => void): TestStream =>
  stream.with("ram-part", ramPart("part", records));
const withDelta = (encoding: number, length: number, delta: readonly number[]): TestStream =>
  withRecords((w) => {
    w.be64(0x40);
    w.counted("test.ram");
    w.u8(encoding);
    w.be16(length);
    w.bytes(Uint8Array.from(delta));
  });
/** The stream up to a byte of that piece. */
const cut = (name: string, byte: number): TestStream => {
  const end = stream.pieces.findIndex((piece) => piece.name === name);
  const bytes = stream.bytesOf(name).slice(0, byte);
  return new TestStream([...stream.pieces.slice(0, end), { name, bytes }]);
};

const IN_RAM_START = {
  at: ["ram-start", RAM_HEADER_BYTES],
  section: "ram",
  lastGood: "test-layout",
} as const;
const IN_RAM_PART = { at: ["ram-part", PART_HEADER_BYTES], section: "ram", lastGood: "ram" } as const;

/** The rows of section 14 of the wire-format page, in its order. */
const ROWS: Record<string, Row> = {
  "bad magic": {
    changed: () => stream.with("header", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")),
    code: "NOT_A_STREAM",
    text: "Not a migration stream",
    at: ["header", 0],
  },
  "version 2": {
    changed: () => stream.with("header", header(2)),
    code: "UNSUPPORTED_VERSION",
    text: "SaveVM v2 format is obsolete and don't work anymore",
    at: ["header", 4],
  },
  "another version": {
    changed: () => stream.with("header", header(4)),
    code: "UNSUPPORTED_VERSION",
    text: "Unsupported migration stream version",
    at: ["header", 4],
  },
  "no configuration": {
    changed: () => stream.without("configuration"),
    code: "CONFIGURATION_MISSING",
    text: "Configuration section missing",
    at: ["open-return-path", 0],
    section: "configuration",
  },
  "another machine type": {
    changed: () => stream.with("configuration", configuration("pc-i440fx-7.2")),
    code: "MACHINE_TYPE_MISMATCH",
    text: "Machine type received is 'pc-i440fx-7.2' and local is 'test-1'",
    at: ["configuration", 0],
    section: "configuration",
  },
  "unknown section": {
    changed: () => stream.before("test-guest", fullSection({ ...device, name: "vmmouse" }, EMPTY)),
    code: "UNKNOWN_SECTION",
    text: `Unknown savevm section or instance 'vmmouse' 0. ${UNKNOWN_DEVICE}`,
    at: ["added", 0],
    section: "vmmouse",
    lastGood: "ram",
  },
  "unknown instance": {
    changed: () => stream.before("test-guest", fullSection({ ...device, instance: 3 }, EMPTY)),
    code: "UNKNOWN_SECTION",
    text: `Unknown savevm section or instance 'test-guest' 3. ${UNKNOWN_DEVICE}`,
    at: ["added", 0],
    section: "test-guest",
    lastGood: "ram",
  },
  "newer section version": {
    changed: () => stream.with("test-guest", fullSection({ ...device, version: 99 }, EMPTY)),
    code: "UNSUPPORTED_SECTION_VERSION",
    text: "savevm: unsupported version 99 for 'test-guest' v1",
    at: ["test-guest", 0],
    section: "test-guest",
    lastGood: "ram",
  },
  "unknown section type": {
    changed: () => stream.before("ram-end", Uint8Array.of(85)),
    code: "BAD_SECTION",
    text: "Unknown savevm section type 85",
    at: ["added", 0],
    lastGood: "ram",
  },
  "unknown section id": {
    changed: () => {
      const unknown = ramPart("end", () => {}, 77);
      return stream.with("ram-end", unknown);
    },
    code: "UNKNOWN_SECTION",
    text: "Unknown savevm section 77",
    at: ["ram-end", 0],
    lastGood: "ram",
  },
  "footer of another section": {
    changed: () => {
      const bytes = stream.bytesOf("ram-end").slice();
      bytes[bytes.length - 1] = 0x63;
      return stream.with("ram-end", bytes);
    },
    code: "BAD_FOOTER",
    text: "Mismatched section id in footer for ram - read 0x63 expected 0x1",
    at: ["ram-end", PART_HEADER_BYTES + 8],
    section: "ram",
    lastGood: "ram",
  },
  "no footer": {
    changed: () => stream.with("ram-end", stream.bytesOf("ram-end").slice(0, -5)),
    code: "BAD_FOOTER",
    text: "Missing section footer for ram",
    at: ["ram-end", PART_HEADER_BYTES + 8],
    section: "ram",
    lastGood: "ram",
  },
  "block size": {
    changed: () => stream.with("ram-start", ramStart([{ name: "test.ram", length: 0x2000 }, BLOCKS[1]!])),
    code: "BAD_RAM_BLOCK",
    text: "Size mismatch: test.ram: 0x2000 != 0x8000",
    ...IN_RAM_START,
  },
  "block name": {
    changed: () => stream.with("ram-start", ramStart([...BLOCKS, { name: "pc.ram", length: 4096 }])),
    code: "BAD_RAM_BLOCK",
    text: 'Unknown ramblock "pc.ram", cannot accept migration',
    ...IN_RAM_START,
  },
  "page offset": {
    changed: () =>
      withRecords((w) => {
        new RamPageEncoder().zeroPage(w, "test.ram", 0x7000000);
      }),
    code: "BAD_RAM_PAGE",
    text: "Illegal RAM offset 7000000",
    ...IN_RAM_PART,
  },
  "page flags": {
    changed: () =>
      withRecords((w) => {
        w.be64(0x808);
      }),
    code: "BAD_RAM_PAGE",
    text: "Unknown combination of migration flags: 0x808",
    ...IN_RAM_PART,
  },
  "CONTINUE without a block": {
    changed: () =>
      withRecords((w) => {
        w.be64(0x28);
      }),
    code: "BAD_RAM_PAGE",
    text: "Ack, bad migration stream!",
    ...IN_RAM_PART,
  },
  "delta of another encoding": {
    changed: () => withDelta(2, 3, []),
    code: "BAD_RAM_PAGE",
    text: "Failed to load XBZRLE page - wrong compression!",
    ...IN_RAM_PART,
  },
  "delta longer than a page": {
    changed: () => withDelta(1, 4097, []),
    code: "BAD_RAM_PAGE",
    text: "Failed to load XBZRLE page - len overflow!",
    ...IN_RAM_PART,
  },
  "broken delta": {
    changed: () => withDelta(1, 2, [1, 0]),
    code: "BAD_RAM_PAGE",
    text: "Failed to load XBZRLE page - decode error!",
    ...IN_RAM_PART,
  },
  "truncated in guest memory": {
    changed: () => cut("ram-part", 100),
    code: "TRUNCATED",
    text: "The stream ended where a page of 4096 bytes was expected: Input/output error",
    at: ["ram-part", 100],
    section: "ram",
    lastGood: "ram",
  },
  "truncated between sections": {
    changed: () => cut("test-guest", 0),
    code: "TRUNCATED",
    text: "The stream ended where a section type was expected: Input/output error",
    at: ["test-guest", 0],
    lastGood: "ram",
  },
  "truncated in a device": {
    changed: () => cut("test-guest", 30),
    code: "TRUNCATED",
    text: "The stream ended where test-guest.sweeps was expected: Input/output error",
    at: ["test-guest", 30],
    section: "test-guest",
    lastGood: "ram",
  },
};

test.each(Object.entries(ROWS))("%s", async (_input, { changed, code, text, at, section, lastGood }) => {
  const bad = changed();
  const offset = bad.offsetOf(at[0]) + at[1];
  const place = [
    ...(section === undefined ? [] : [`section '${section}'`]),
    `byte ${offset}`,
    ...(lastGood === undefined ? [] : [`last good section '${lastGood}'`]),
  ];
  const { error, committed, sent } = await feed({ chunks: [bad.bytes] });
  expect(error?.serialize()).toEqual({
    code,
    message: `${text} (${place.join(", ")})`,
    offset,
    ...(section === undefined ? {} : { section }),
    ...(lastGood === undefined ? {} : { lastGoodSection: lastGood }),
  });
  expect(committed).toBe(false);
  expect(sent).not.toContainEqual({ kind: "shut", status: 0 });
});
