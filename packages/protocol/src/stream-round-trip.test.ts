import * as fc from "fast-check";
import { expect, test } from "vitest";
import {
  SMALL_BLOCKS,
  smallStream,
  writeFull,
  writeHead,
  writeRamSection,
  writeRamStart,
} from "../test/streams.ts";
import { chunked, decodeAll, toHex, written } from "../test/support.ts";
import type { Event } from "../test/support.ts";
import {
  encodeCommand,
  encodeEndMark,
  encodeVmDescription,
  RamPageEncoder,
  WIRE_PAGE_SIZE,
} from "./index.ts";
import type { ByteWriter, Command } from "./index.ts";

const SMALL = smallStream();

test("a complete stream is decoded in order", () => {
  const ram = { id: 2, name: "ram", instance: 0, version: 4 };
  const wasm = { kind: "full", id: 0, name: "wasm-module", instance: 0, version: 1 };
  const page = toHex(Uint8Array.from({ length: WIRE_PAGE_SIZE }, (_, index) => index * 7));
  const events = decodeAll([SMALL.slice()]);
  expect(events.slice(0, -5)).toEqual([
    {
      configuration: {
        machineType: "wasm-1",
        targetPageBits: 12,
        capabilities: ["x-ignore-shared", "mapped-ram"],
        uuid: new Uint8Array(16).fill(9),
      },
    },
    { command: { kind: "open-return-path" } },
    { command: { kind: "ping", value: 1 } },
    { open: wasm },
    { opaque: "03".repeat(37) },
    { close: wasm },
    { open: { kind: "start", ...ram } },
    { blocks: SMALL_BLOCKS },
    { close: { kind: "start", ...ram } },
    { zero: [0, 0, 0] },
    { page: [0, WIRE_PAGE_SIZE, page] },
    { close: { kind: "part", ...ram } },
    { command: { kind: "other", code: 12, payload: new Uint8Array(5).fill(1) } },
    { zero: [0, 3 * WIRE_PAGE_SIZE, 0] },
    { zero: [1, 0, 0] },
    { close: { kind: "end", ...ram } },
  ]);
  expect(events.slice(-2)).toEqual([
    "end mark",
    { vmDescription: expect.stringContaining('"page_size":4096') },
  ]);
});

test("every split point of a complete stream", () => {
  const whole = JSON.stringify(decodeAll([SMALL.slice()]));
  for (let cut = 0; cut <= SMALL.length; cut += 1) {
    if (JSON.stringify(decodeAll([SMALL.slice(0, cut), SMALL.slice(cut)])) !== whole) {
      expect.fail(`cut at ${cut}, the stream is decoded to something else`);
    }
  }
});

test("a complete stream byte by byte", () => {
  const bytes = Array.from(SMALL, (byte) => Uint8Array.of(byte));
  expect(decodeAll(bytes)).toEqual(decodeAll([SMALL.slice()]));
});

/** Something that a stream may hold between configuration and end mark. */
type Item =
  | { readonly kind: "command"; readonly command: Command }
  | { readonly kind: "full"; readonly id: number; readonly name: string; readonly payload: Uint8Array }
  | { readonly kind: "pages"; readonly pages: readonly Page[] };

/** `fill` 0 is sent as a zero page. */
interface Page {
  readonly block: number;
  readonly page: number;
  readonly fill: number;
}

const be32 = fc.integer({ min: 0, max: 0xffff_ffff });
const name = fc.string({ minLength: 1, maxLength: 40 }).filter((one) => one !== "ram");

const command: fc.Arbitrary<Command> = fc.oneof(
  fc.constant<Command>({ kind: "open-return-path" }),
  be32.map((value): Command => ({ kind: "ping", value })),
  fc
    .record({ code: fc.integer({ min: 12, max: 0xffff }), payload: fc.uint8Array({ maxLength: 300 }) })
    .map((other): Command => ({ kind: "other", ...other })),
);

const page: fc.Arbitrary<Page> = fc
  .record({ block: fc.nat(1), page: fc.nat(3), fill: fc.oneof(fc.constant(0), fc.nat(255)) })
  .map((one) => (one.block === 1 ? { ...one, page: 0 } : one));

const item: fc.Arbitrary<Item> = fc.oneof(
  command.map((one): Item => ({ kind: "command", command: one })),
  fc
    .record({ id: be32, name, payload: fc.uint8Array({ maxLength: 500 }) })
    .map((full): Item => ({ kind: "full", ...full })),
  fc.array(page, { maxLength: 8 }).map((pages): Item => ({ kind: "pages", pages })),
);

function writeItem(w: ByteWriter, encoder: RamPageEncoder, one: Item): void {
  switch (one.kind) {
    case "command":
      encodeCommand(w, one.command);
      return;
    case "full":
      writeFull(w, one.id, one.name, one.payload);
      return;
    case "pages":
      writeRamSection(w, encoder, "part", () => {
        for (const { block, page: index, fill } of one.pages) {
          const { name: blockName } = SMALL_BLOCKS[block]!;
          if (fill === 0) encoder.zeroPage(w, blockName, index * WIRE_PAGE_SIZE);
          else encoder.page(w, blockName, index * WIRE_PAGE_SIZE, new Uint8Array(WIRE_PAGE_SIZE).fill(fill));
        }
      });
  }
}

/** What the decoder is to report for the item. */
function expected(one: Item): Event[] {
  const ram = { id: 2, name: "ram", instance: 0, version: 4 };
  switch (one.kind) {
    case "command":
      return [{ command: one.command }];
    case "full": {
      const header = { kind: "full", id: one.id, name: one.name, instance: 0, version: 1 } as const;
      return [{ open: header }, { opaque: toHex(one.payload) }, { close: header }];
    }
    default:
      return [
        ...one.pages.map(({ block, page: index, fill }): Event => {
          const offset = index * WIRE_PAGE_SIZE;
          if (fill === 0) return { zero: [block, offset, 0] };
          return { page: [block, offset, fill.toString(16).padStart(2, "0").repeat(WIRE_PAGE_SIZE)] };
        }),
        { close: { kind: "part", ...ram } },
      ];
  }
}

test("any sequence of items in any chunks comes back as it was", () => {
  const cuts = fc.array(fc.oneof(fc.integer({ min: 1, max: 16 }), fc.integer({ min: 1, max: 9000 })), {
    maxLength: 60,
  });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 12 }), cuts, fc.boolean(), (items, lengths, described) => {
      const bytes = written((w) => {
        const encoder = new RamPageEncoder();
        writeHead(w);
        writeRamStart(w, encoder, SMALL_BLOCKS);
        for (const one of items) writeItem(w, encoder, one);
        writeRamSection(w, encoder, "end");
        encodeEndMark(w);
        if (described) encodeVmDescription(w, { page_size: 4096, devices: [] });
      });
      const ram = { id: 2, name: "ram", instance: 0, version: 4 };
      expect(decodeAll(chunked(bytes, lengths))).toEqual([
        { configuration: { machineType: "wasm-1" } },
        { open: { kind: "start", ...ram } },
        { blocks: SMALL_BLOCKS },
        { close: { kind: "start", ...ram } },
        ...items.flatMap(expected),
        { close: { kind: "end", ...ram } },
        "end mark",
        ...(described ? [{ vmDescription: '{"page_size":4096,"devices":[]}' }] : []),
      ]);
    }),
  );
});
