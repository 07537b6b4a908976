import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runDisturbed, runPlain } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";

/** How a value of each type is made of an i32, and an i64 of it. */
const TYPES: Record<
  string,
  { readonly make: (i32: string) => string; readonly show: (value: string) => string }
> = {
  i32: { make: (i32) => i32, show: (value) => `(i64.extend_i32_s ${value})` },
  i64: {
    make: (i32) => `(i64.mul (i64.extend_i32_s ${i32}) (i64.const 0x100000001))`,
    show: (value) => value,
  },
  f32: {
    make: (i32) => `(f32.convert_i32_s ${i32})`,
    show: (value) => `(i64.extend_i32_s (i32.reinterpret_f32 ${value}))`,
  },
  f64: { make: (i32) => `(f64.convert_i32_s ${i32})`, show: (value) => `(i64.reinterpret_f64 ${value})` },
  v128: {
    make: (i32) => `(i32x4.replace_lane 3 (i32x4.splat ${i32}) (i32.const 77))`,
    show: (value) => `(i64.add (i64x2.extract_lane 0 ${value}) (i64x2.extract_lane 1 ${value}))`,
  },
};

type Step = { readonly kind: "set" | "use"; readonly local: number };

/** Sets and uses locals in turn. Each use comes behind a call that can be left, so that the sites have different values. */
function program(types: readonly string[], steps: readonly Step[]): Uint8Array {
  const name = (local: number): string => `$v${local % types.length}`;
  const code = steps.map(({ kind, local }, n) => {
    const { make, show } = TYPES[types[local % types.length]!]!;
    return kind === "set"
      ? `(local.set ${name(local)} ${make(`(i32.add (local.get $i) (i32.const ${n * 5}))`)})`
      : `(call $put (i64.add (i64.extend_i32_u (call $spin)) ${show(`(local.get ${name(local)})`)}))`;
  });
  return wat(`(module (memory (export "memory") 2) (global $at (mut i32) (i32.const 16))
    (func $put (param i64)
      (i64.store (global.get $at) (local.get 0))
      (global.set $at (i32.add (global.get $at) (i32.const 8))))
    (func $spin (result i32) (local $n i32)
      (loop $l
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 2))))
      (local.get $n))
    (func (export "_start") (local $i i32) ${types.map((type, n) => `(local $v${n} ${type})`).join(" ")}
      (loop $l
        ${code.join("\n")}
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 3))))))`);
}

const step = fc.record({ kind: fc.constantFrom("set" as const, "use" as const), local: fc.nat(99) });

describe("frames of a function whose sites hold different values", () => {
  it("bring back each value, whichever copy saved them", () => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...Object.keys(TYPES)), { minLength: 1, maxLength: 70 }),
        fc.array(step, { minLength: 10, maxLength: 60 }),
        (types, steps) => {
          const bytes = program(types, [...steps, { kind: "use", local: 0 }]);
          const expected = runPlain(bytes);
          const actual = runDisturbed(bytes);
          expect([actual.end, expected.end]).toEqual(["finished", "finished"]);
          expect(Buffer.from(actual.memory).equals(expected.memory)).toBe(true);
          expect(actual.unwinds).toBeGreaterThan(3);
          expect(actual.missedPages).toBe(0);
        },
      ),
      { numRuns: 60 },
    );
  });
});
