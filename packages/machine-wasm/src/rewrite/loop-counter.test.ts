import { describe, expect, it } from "vitest";
import { runDisturbed, runPlain } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";

const ITERATIONS = 100;

/** A program whose only safepoints are those of one loop, which leaves what it did in memory. */
const looping = (loop: string, extra = ""): Uint8Array =>
  wat(`(module (memory (export "memory") 1) ${extra}
    (func (export "_start") (local $i i32) (local $n i32) (local $wide i64)
      ${loop}
      (i32.store (i32.const 0) (local.get $n))))`);

const step = (local: string, by: string): string =>
  `(local.set ${local} (i32.add (local.get ${local}) (i32.const ${by})))`;
const again = `(br_if $l (i32.lt_u (local.get $n) (i32.const ${ITERATIONS})))`;
const counted = step("$n", "1");

/** Loops, and in how many of 100 iterations each looks at the flag when every eighth will do. */
const LOOPS: Record<string, readonly [Uint8Array, number]> = {
  up: [looping(`(loop $l ${counted} ${again})`), 12],
  "down by an even number": [
    looping(`(loop $l ${step("$i", "-12")} (local.set $n (i32.add (i32.const 1) (local.get $n))) ${again})`),
    12,
  ],
  "by a subtraction, over zero": [
    looping(`(local.set $i (i32.const 50))
      (loop $l (local.set $i (i32.sub (local.get $i) (i32.const 1))) (local.set $n (i32.sub (i32.const 50) (local.get $i))) ${again})`),
    13,
  ],
  "in 64 bits": [
    looping(`(loop $l (local.set $wide (i64.add (local.get $wide) (i64.const 4)))
      (local.set $n (i32.wrap_i64 (i64.shr_u (local.get $wide) (i64.const 2)))) ${again})`),
    12,
  ],
  "only on one of its ways": [
    looping(`(loop $l (if (i32.and (local.get $n) (i32.const 1)) (then ${step("$i", "1")}))
      (local.set $n (i32.add (i32.const 1) (local.get $n))) ${again})`),
    100,
  ],
  "behind a branch back": [
    looping(`(loop $l (local.set $n (i32.add (i32.const 1) (local.get $n)))
      (br_if $l (i32.lt_u (local.get $n) (i32.const 60))) ${step("$i", "1")} ${again})`),
    100,
  ],
  "and sets what it counts": [
    looping(`(loop $l ${step("$i", "1")} (if (i32.and (local.get $i) (i32.const 1)) (then (local.set $i (i32.const 1))))
      (local.set $n (i32.add (i32.const 1) (local.get $n))) ${again})`),
    100,
  ],
  "by a number that is no constant": [
    looping(`(loop $l (local.set $i (i32.add (local.get $i) (local.get $n)))
      (local.set $n (i32.add (i32.const 1) (local.get $n))) ${again})`),
    100,
  ],
  "and calls something": [
    looping(`(loop $l ${counted} (call $f) ${again})`, "(func $f (i32.store (i32.const 8) (i32.const 1)))"),
    100,
  ],
  "and moves memory": [
    looping(`(loop $l ${counted} (memory.copy (i32.const 8) (i32.const 16) (i32.const 8)) ${again})`),
    100,
  ],
};

describe("a loop that counts", () => {
  for (const [name, [bytes, unwinds]] of Object.entries(LOOPS)) {
    it(`${name}: looks at the flag as often as it has to`, () => {
      const disturbed = runDisturbed(bytes, undefined, { pollEvery: 8 });
      expect(disturbed.unwinds).toBe(unwinds);
      expect(Buffer.compare(disturbed.memory, runPlain(bytes).memory)).toBe(0);
      expect(runDisturbed(bytes).unwinds).toBe(100);
    });
  }
});
