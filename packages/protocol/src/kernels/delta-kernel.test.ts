import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import golden from "../../test/golden/xbzrle.json" with { type: "json" };
import { Fenced, KERNELS } from "../../test/kernels.ts";
import { fromHex, refusal, toHex } from "../../test/support.ts";
import { applyDelta, checkDelta, DeltaPage, encodeDelta } from "../index.ts";

const PAGE = 4096;
const ROOM = 2 ** 16;

interface Change {
  readonly at: number;
  readonly length: number;
  readonly step: number;
  readonly by: number;
}

/** Few short changes; long ones; ones that begin or end where a vector or the page does. */
const change: fc.Arbitrary<Change> = fc.record({
  at: fc.oneof(
    fc.nat(PAGE - 1),
    fc.integer({ min: 0, max: PAGE / 16 - 1 }).map((n) => n * 16),
    fc.constantFrom(0, 63, 64, 127, PAGE - 1, PAGE - 16, PAGE - 17),
  ),
  length: fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.constantFrom(16, 48, 64, 127, 128, 129, 255, 256, 257),
    fc.integer({ min: 1, max: PAGE }),
  ),
  step: fc.constantFrom(1, 1, 1, 2, 3),
  by: fc.integer({ min: 1, max: 255 }),
});

function changed(old: Uint8Array, changes: readonly Change[]): Uint8Array {
  const page = old.slice();
  for (const { at, length, step, by } of changes)
    for (let n = at; n < Math.min(PAGE, at + length); n += step) page[n] = page[n]! + by;
  return page;
}

const OLD = Uint8Array.from({ length: PAGE }, (_, n) => n * 31 + (n >> 7));

/** The delta that the plain encoder makes, with the bytes that it writes. */
function plain(old: Uint8Array, page: Uint8Array, room: number): { length: number; bytes: string } {
  const target = new Uint8Array(room);
  const length = encodeDelta(new DeltaPage(old), new DeltaPage(page), target);
  return { length, bytes: toHex(target.subarray(0, Math.max(0, length))) };
}

describe.each(KERNELS)("deltas, %s", (_name, open) => {
  const kernel = open(ROOM);
  const page = new Fenced(kernel, PAGE);
  const out = new Fenced(kernel, PAGE);
  const kept = kernel.openKeptPages(3);
  kept.keepZeros(0);
  kept.keepZeros(2);

  function encode(
    old: Uint8Array,
    next: Uint8Array,
    room: number,
    replace: boolean,
  ): { length: number; bytes: string } {
    page.bytes.set(old);
    kept.keep(1, page.at);
    page.bytes.set(next);
    out.bytes.fill(0xa5);
    const length = kept.encodeDelta(1, page.at, out.at, room, replace);
    expect(toHex(kept.bytes(1))).toBe(toHex(replace ? next : old));
    expect(page.intact && out.intact).toBe(true);
    expect(out.bytes.subarray(room).every((byte) => byte === 0xa5)).toBe(true);
    return { length, bytes: toHex(out.bytes.subarray(0, Math.max(0, length))) };
  }

  test("the documented example", () => {
    const next = new Uint8Array(PAGE);
    const old = new Uint8Array(PAGE);
    const at = golden.documented.unchanged;
    old.set(fromHex("05060708090a0b0c0d0e0f101112136800006b006d"), at);
    next.set(fromHex("0102030405060708090a0b0c0d0e0f680000670069"), at);
    expect(encode(old, next, PAGE, false).bytes).toBe(golden.documented.delta);
  });

  test("are those of the plain encoder, for any room", () => {
    fc.assert(
      fc.property(
        fc.array(change, { maxLength: 8 }),
        fc.option(fc.nat(64)),
        fc.boolean(),
        (changes, less, replace) => {
          const next = changed(OLD, changes);
          const full = plain(OLD, next, PAGE);
          const room =
            less === null
              ? PAGE
              : Math.min(PAGE, Math.max(0, (full.length < 0 ? PAGE : full.length) + 2 - less));
          expect(encode(OLD, next, room, replace)).toEqual(plain(OLD, next, room));
        },
      ),
      { numRuns: 700 },
    );
  });

  test("of one changed stretch, wherever it begins and ends around the edges of vectors", () => {
    const edges = [
      0, 1, 15, 16, 17, 31, 63, 64, 65, 127, 128, 191, 2047, 2048, 4031, 4032, 4080, 4094, 4095, 4096,
    ];
    for (const from of edges) {
      for (const to of edges.filter((edge) => edge > from)) {
        const next = OLD.slice();
        for (let n = from; n < to; n++) next[n] = next[n]! + 1;
        expect(encode(OLD, next, PAGE, true)).toEqual(plain(OLD, next, PAGE));
      }
    }
  });

  test("of pages that are the same, are new from end to end, or change in every second byte", () => {
    for (const next of [OLD, OLD.map((byte) => byte + 1), OLD.map((byte, n) => byte + (n & 1))]) {
      for (const room of [PAGE, 100, 1, 0])
        expect(encode(OLD, next, room, true)).toEqual(plain(OLD, next, room));
    }
  });

  test("the neighbours of a kept page stay as they are", () => {
    encode(
      OLD,
      OLD.map((byte) => byte + 1),
      PAGE,
      true,
    );
    expect([kept.bytes(0), kept.bytes(2)].map((bytes) => bytes.every((byte) => byte === 0))).toEqual([
      true,
      true,
    ]);
  });

  function apply(delta: Uint8Array, old: Uint8Array): string | undefined {
    page.bytes.set(old);
    const at = out.at + PAGE - delta.length;
    kernel.bytes.set(delta, at);
    const fits = kernel.checkDelta(at, delta.length);
    expect(toHex(page.bytes)).toBe(toHex(old));
    expect(kernel.applyDelta(at, delta.length, page.at)).toBe(fits);
    expect(page.intact && out.intact).toBe(true);
    return fits ? toHex(page.bytes) : undefined;
  }

  function plainApply(delta: Uint8Array, old: Uint8Array): string | undefined {
    const bytes = old.slice();
    const applied = applyDelta(delta, bytes);
    expect(checkDelta(delta, PAGE)).toBe(applied);
    return applied ? toHex(bytes) : undefined;
  }

  test("rebuild the page, at every place where they can be cut or else are refused like by the plain decoder", () => {
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(), (changes, seed) => {
        const next = changed(OLD, changes);
        const { length, bytes } = plain(OLD, next, PAGE);
        if (length <= 0) return;
        const delta = fromHex(bytes);
        expect(apply(delta, OLD)).toBe(toHex(next));
        const cut = delta.subarray(0, seed % delta.length);
        expect(apply(cut, OLD)).toBe(plainApply(cut, OLD));
      }),
      { numRuns: 300 },
    );
    const delta = fromHex(plain(OLD, changed(OLD, [{ at: 700, length: 150, step: 3, by: 1 }]), PAGE).bytes);
    for (let cut = 0; cut <= delta.length; cut++) {
      const part = delta.subarray(0, cut);
      expect(apply(part, OLD)).toBe(plainApply(part, OLD));
    }
  });

  test("any bytes are refused, or change the page, as by the plain decoder", () => {
    const length = fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 0x7f, 0x80, 0x81, 0xff));
    fc.assert(
      fc.property(fc.array(length, { maxLength: 40 }), (bytes) => {
        const delta = Uint8Array.from(bytes);
        expect(apply(delta, OLD)).toBe(plainApply(delta, OLD));
      }),
      { numRuns: 3000 },
    );
  });

  test.each(["", "01", "0500", "8501", "80800101aa", "0180800101", "0001aa0001bb", "010000", "0003aabb", "812001aa", "ff1f02aabb", "0001aa01", "0001aa8000", "ffffffff"])(
    "'%s' is refused", (hex) => { expect(apply(fromHex(hex), OLD)).toBeUndefined(); },
  ); // prettier-ignore

  test("kept pages are found again, also in another store, and others are mistakes of the caller", () => {
    const other = kernel.openKeptPages(2 ** 20);
    page.bytes.set(OLD);
    // In different memories where there is more than one.
    for (const n of [0, 2 ** 18 - 1, 2 ** 18, 2 ** 20 - 1]) {
      page.bytes[0] = n % 251;
      other.keep(n, page.at);
      kept.keepOther(1, other, n);
      expect(toHex(kept.bytes(1))).toBe(toHex(page.bytes));
      expect(kept.encodeDelta(1, page.at, out.at, PAGE, false)).toBe(0);
      expect(other.encodeDelta(n, page.at, out.at, PAGE, false)).toBe(0);
    }
    const mistakes: readonly (() => void)[] = [
      () => other.keep(2 ** 20, page.at),
      () => other.keepZeros(-1),
      () => other.keep(0, kernel.bytes.length - PAGE + 1),
      () => kernel.openKeptPages(9).bytes(0),
      () => other.encodeDelta(2 ** 20, page.at, out.at, PAGE, false),
      () => other.encodeDelta(0, page.at, kernel.bytes.length - PAGE + 1, PAGE, false),
    ];
    for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
  });
});
