import { PLACE_BYTES, putPlace } from "@peregrine/protocol";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { GatherList } from "./gather-list.ts";

/** Addresses that need more than 32 bits, and a carry between their halves. */
const place = fc.record({
  address: fc.oneof(fc.integer({ min: 1, max: 2 ** 47 }), fc.constant(2 ** 32 - 5), fc.constant(2 ** 40 - 1)),
  length: fc.integer({ min: 1, max: 5000 }),
});

interface Place {
  readonly address: number;
  readonly length: number;
}

function listOf(places: readonly Place[], room = places.length) {
  const vector = new Uint8Array(room * PLACE_BYTES);
  const words = new Uint32Array(vector.buffer);
  for (const [n, { address, length }] of places.entries()) putPlace(words, n, address, length);
  const list = new GatherList(vector);
  list.set(
    places.length,
    places.reduce((sum, { length }) => sum + length, 0),
  );
  return list;
}

function entriesOf(list: GatherList): [address: number, length: number][] {
  const { vector } = list;
  const view = new DataView(vector.buffer, vector.byteOffset, vector.length);
  return Array.from({ length: list.places }, (_, n) => [
    Number(view.getBigUint64(n * PLACE_BYTES, true)),
    Number(view.getBigUint64(n * PLACE_BYTES + 8, true)),
  ]);
}

/** What is left of the places when so many bytes have been written. */
function placesBehind(places: readonly Place[], written: number): [address: number, length: number][] {
  let skipped = written;
  const left: [number, number][] = [];
  for (const { address, length } of places) {
    const skip = Math.min(skipped, length);
    skipped -= skip;
    if (skip < length) left.push([address + skip, length - skip]);
  }
  return left;
}

describe("a gather list", () => {
  test("has the places that are left, however much is written at a time", () => {
    fc.assert(
      fc.property(fc.array(place, { maxLength: 8 }), fc.infiniteStream(fc.nat(7000)), (places, writes) => {
        const list = listOf(places);
        let written = 0;
        for (const wanted of writes) {
          const left = placesBehind(places, written);
          expect(entriesOf(list)).toEqual(left);
          expect(list.length).toBe(left.reduce((sum, [, length]) => sum + length, 0));
          if (left.length === 0) break;
          expect([list.first.address, list.first.length]).toEqual(left[0]);
          const taken = Math.min(wanted, list.length);
          list.advance(taken);
          written += taken;
        }
        expect(list.places).toBe(0);
      }),
    );
  });

  test("can be filled again", () => {
    const list = listOf([{ address: 4096, length: 10 }], 2);
    list.advance(10);
    list.set(1, 10);
    expect(entriesOf(list)).toEqual([[4096, 10]]);
  });

  test.for([
    ["more is written than there was", (list: GatherList) => list.advance(11)],
    ["less than nothing is written", (list: GatherList) => list.advance(-1)],
    ["there are more places than room", (list: GatherList) => list.set(3, 10)],
    ["the first of none is asked for", (list: GatherList) => (list.advance(10), list.first)],
  ] as const)("that %s is a mistake of the caller", ([, mistake]) => {
    const list = listOf([{ address: 4096, length: 10 }], 2);
    expect(() => mistake(list)).toThrow(expect.objectContaining({ code: "INTERNAL" }));
  });
});
