import { RamPageEncoder } from "@peregrine/protocol";
import type { ByteWriter } from "@peregrine/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { feed, keptOpen } from "../test/in-process.ts";
import { memoryOf, SMALL, stoppedSource } from "../test/machines.ts";
import { expectRefusal } from "../test/refusal.ts";
import type { Refusal } from "../test/refusal.ts";
import { command, ramPart, ramStart, TestStream } from "../test/stream-maker.ts";

let stream: TestStream;

beforeAll(async () => {
  stream = await TestStream.of((await stoppedSource(SMALL)).machine);
});

const BLOCKS = [
  { name: "test.ram", length: 8 * 4096 },
  { name: "test.rom", length: 4096 },
];

/** The reason, and what follows the block's name. */
const DELTAS = [
  ["wrong compression", [2, 0, 0]],
  ["len overflow", [1, 0x10, 1]],
  ["decode error", [1, 0, 2, 0, 0]],
] as const;

const page = (w: ByteWriter, name: string, offset: number): void => {
  new RamPageEncoder().page(w, name, offset, new Uint8Array(4096));
};

const other = (code: number): Uint8Array =>
  command({ kind: "other", code, payload: new Uint8Array(code === 3 ? 16 : 0) });

describe("guest memory", () => {
  test.each<[string, () => TestStream, Refusal]>([
    [
      "a block of another size",
      () => stream.with("ram-start", ramStart([{ name: "test.ram", length: 0x2000 }, BLOCKS[1]!])),
      { code: "BAD_RAM_BLOCK", text: "Size mismatch: test.ram: 0x2000 != 0x8000", section: "ram" },
    ],
    [
      "an unknown block",
      () => stream.with("ram-start", ramStart([...BLOCKS, { name: "pc.ram", length: 4096 }])),
      {
        code: "BAD_RAM_BLOCK",
        text: 'Unknown ramblock "pc.ram", cannot accept migration',
        section: "ram",
      },
    ],
    [
      "a block that is missing",
      () => stream.with("ram-start", ramStart([BLOCKS[0]!])),
      {
        code: "BAD_RAM_BLOCK",
        text: 'RAM block "test.rom" is missing in the stream, cannot accept migration',
      },
    ],
    [
      "a page of an unknown block",
      () =>
        stream.with(
          "ram-part",
          ramPart("part", (w) => {
            page(w, "pc.ram", 0);
          }),
        ),
      {
        code: "BAD_RAM_BLOCK",
        text: 'Unknown ramblock "pc.ram", cannot accept migration',
        at: ["ram-part", 5],
      },
    ],
    [
      "no list of blocks",
      () => stream.with("ram-start", ramStart(undefined)).without("ram-part"),
      { code: "BAD_RAM_BLOCK", text: "Section 'ram' has no list of RAM blocks", section: "ram" },
    ],
    [
      "a list of no blocks",
      () => stream.with("ram-start", ramStart([])),
      { code: "BAD_RAM_BLOCK", text: 'RAM block "test.ram" is missing in the stream' },
    ],
    [
      "an offset outside the block",
      () =>
        stream.with(
          "ram-part",
          ramPart("part", (w) => {
            page(w, "test.ram", 0x7000_000);
          }),
        ),
      { code: "BAD_RAM_PAGE", text: "Illegal RAM offset 7000000", at: ["ram-part", 5], section: "ram" },
    ],
    [
      "flags that do not go together",
      () =>
        stream.with(
          "ram-part",
          ramPart("part", (w) => {
            w.be64(0x808);
          }),
        ),
      { code: "BAD_RAM_PAGE", text: "Unknown combination of migration flags: 0x808", at: ["ram-part", 5] },
    ],
    [
      "a page that continues no block",
      () =>
        stream.with(
          "ram-part",
          ramPart("part", (w) => {
            w.be64(0x28);
          }),
        ),
      { code: "BAD_RAM_PAGE", text: "Ack, bad migration stream!", at: ["ram-part", 5] },
    ],
    ...DELTAS.map(([why, bytes]): [string, () => TestStream, Refusal] => [
      `a delta with a ${why}`,
      () =>
        stream.with(
          "ram-part",
          ramPart("part", (w) => {
            w.be64(0x40);
            w.counted("test.ram");
            w.bytes(Uint8Array.from(bytes));
          }),
        ),
      { code: "BAD_RAM_PAGE", text: `Failed to load XBZRLE page - ${why}!`, at: ["ram-part", 5] },
    ]),
    [
      "pages on channels that nobody reads",
      () =>
        stream.with(
          "ram-part",
          ramPart("part", (w) => {
            w.be64(0x200);
          }),
        ),
      { code: "LOAD_FAILED", text: "The source sends memory over multifd channels, which are off here" },
    ],
  ])("%s", async (_, changed, refusal) => {
    await expectRefusal(changed(), refusal);
  });

  test("may come as deltas", async () => {
    const { machine } = await stoppedSource(SMALL);
    const known = await TestStream.of(machine);
    const [before] = memoryOf(machine.guest.ram);
    const encoder = new RamPageEncoder();
    const deltas = ramPart("part", (w) => {
      encoder.delta(w, "test.ram", 4096, Uint8Array.of(7, 2, 0xaa, 0xbb));
      // A page that the guest has not used so far.
      encoder.delta(w, "test.ram", 6 * 4096, Uint8Array.of(0, 1, 0xcc));
    });
    const fed = await feed({ chunks: keptOpen(known.before("ram-end", deltas).bytes) });
    expect(fed.error).toBeUndefined();
    const [after] = memoryOf(fed.guest.machine.guest.ram);
    const expected = new Uint8Array(7 * 4096);
    expected.set(before!);
    expected.set([0xaa, 0xbb], 4096 + 7);
    expected[6 * 4096] = 0xcc;
    expect(Buffer.compare(after!, expected)).toBe(0);
  });

  test("blocks in another order are no difference", async () => {
    const reversed = stream.with("ram-start", ramStart(BLOCKS.toReversed()));
    const fed = await feed({ chunks: keptOpen(reversed.bytes) });
    expect(fed.error).toBeUndefined();
    fed.guest.machine.verify();
  });
});

describe("commands", () => {
  test.each<[string, () => TestStream, string]>([
    [
      "POSTCOPY_ADVISE",
      () => stream.before("ram-start", other(3)),
      "Postcopy is not supported here: switch the capability postcopy-ram off at the source",
    ],
    [
      "POSTCOPY_ADVISE for bitmaps alone",
      () => stream.before("ram-start", command({ kind: "postcopy-advise" })),
      "Postcopy is not supported here: switch the capability dirty-bitmaps off at the source",
    ],
    [
      "ENABLE_COLO",
      () => stream.before("ram-end", other(8)),
      "Command ENABLE_COLO (8) is not supported here",
    ],
    ["a number without a name", () => stream.before("ram-start", other(4711)), "Unknown command 4711"],
    [
      "PING without a return path",
      () => stream.without("open-return-path"),
      "Command PING came before OPEN_RETURN_PATH",
    ],
    [
      "a second return path",
      () => stream.before("ram-start", command({ kind: "open-return-path" })),
      "Command OPEN_RETURN_PATH came twice",
    ],
  ])("%s", async (_, changed, text) => {
    await expectRefusal(changed(), { code: "BAD_STREAM_COMMAND", text });
  });

  test("more pings than anybody sends, while none can be answered", async () => {
    const pings = Array.from({ length: 20 }, (_, value) => command({ kind: "ping", value }));
    const flooded = stream.after("test-layout", Buffer.concat(pings));
    const fed = await feed({ chunks: [flooded.bytes], target: { prepared: () => new Promise(() => {}) } });
    expect(fed.error).toMatchObject({ code: "LIMIT_EXCEEDED" });
    expect(fed.error?.message).toContain("more than 16 PING commands");
    // PING 1 was answered while the early device was loaded.
    expect(fed.error?.offset).toBe(flooded.offsetOf("added") + 16 * 9);
  });
});
