import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { rewriteForTest, runDisturbed, runPlain } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";
import { op } from "./opcodes.ts";

/** Loops of 150 iterations with stores to addresses that move on by a number that is the same in each iteration, and to others. */
const PAGES = 2;

const masked = (text: string): string => `(i32.and ${text} (i32.const 0x7fff))`;

const address = fc.oneof(
  fc.constantFrom("(local.get $p)", "(local.get $q)", "(local.get $fixed)", "(i32.const 20000)"),
  fc
    .tuple(fc.constantFrom("$p", "$q", "$fixed"), fc.integer({ min: 0, max: 6 }))
    .map(([local, shift]) => `(i32.add (local.get ${local}) (i32.shl (local.get $n) (i32.const ${shift})))`),
  fc.constant("(local.tee $t (i32.sub (local.get $p) (i32.const 24)))"),
  fc.constant("(local.get $t)"),
  fc.constant(masked("(i32.mul (local.get $n) (i32.const 1237))")),
);

const store = fc
  .tuple(
    fc.constantFrom(
      ["i32.store", "(local.get $n)"],
      ["i64.store", "(i64.extend_i32_u (local.get $n))"],
      ["i32.store8", "(i32.const 7)"],
    ),
    address,
    fc.constantFrom(0, 3, 16, 500, 4090, 9000),
  )
  .map(([[code, value], at, offset]) => `(${code} offset=${offset} ${at} ${value})`);

const statement = fc.oneof(
  { weight: 6, arbitrary: store },
  {
    weight: 2,
    arbitrary: store.map((text) => `(if (i32.and (local.get $n) (i32.const 3)) (then ${text}))`),
  },
  { weight: 1, arbitrary: fc.constant("(br_if $l (i32.eq (local.get $n) (i32.const 77)))") },
  { weight: 1, arbitrary: fc.constant("(br_if $out (i32.eq (local.get $n) (i32.const 111)))") },
  {
    weight: 1,
    arbitrary: fc.constant(
      "(if (i32.and (local.get $n) (i32.const 8)) (then (local.set $t (local.get $q))))",
    ),
  },
);

const step = (local: string, by: number): string =>
  `(local.set ${local} (i32.add (local.get ${local}) (i32.const ${by})))`;

const program = fc
  .record({
    before: fc.array(statement, { maxLength: 3 }),
    between: fc.array(statement, { maxLength: 3 }),
    after: fc.array(statement, { maxLength: 3 }),
    p: fc.constantFrom(-40, -8, 1, 4, 8, 24, 56, 100, 120),
    q: fc.constantFrom(-3, 4, 16, 32),
  })
  .map(
    ({ before, between, after, p, q }) => `(module (memory (export "memory") ${PAGES})
    (func (export "_start") (local $n i32) (local $p i32) (local $q i32) (local $fixed i32) (local $t i32)
      (local.set $p (i32.const 30000)) (local.set $q (i32.const 12280)) (local.set $fixed (i32.const 40955)) (local.set $t (i32.const 50000))
      (block $out (loop $l
        ${step("$n", 1)}
        ${before.join("\n")}
        ${step("$p", p)}
        ${between.join("\n")}
        ${step("$q", q)}
        ${after.join("\n")}
        (br_if $l (i32.lt_u (local.get $n) (i32.const 150)))))))`,
  );

describe("a loop with steady stores", () => {
  it("leaves no write unmarked, however seldom it marks", () => {
    let unwinds = 0;
    fc.assert(
      fc.property(program, fc.constantFrom(8, 16, 64), (text, pollEvery) => {
        const bytes = wat(text);
        const actual = runDisturbed(bytes, undefined, { pollEvery });
        expect(Buffer.compare(actual.memory, runPlain(bytes).memory)).toBe(0);
        expect(actual.missedPages).toBe(0);
        unwinds += actual.unwinds;
      }),
      { numRuns: 400, interruptAfterTimeLimit: 7000, markInterruptAsFailure: false },
    );
    expect(unwinds).toBeGreaterThan(500);
  }, 20_000);

  const loop = (body: string, end = ""): Uint8Array =>
    wat(`(module (memory (export "memory") 1) (func (export "_start") (local $p i32) (local $n i32)
      (block $out (loop $l ${body} (local.set $p (i32.add (local.get $p) (i32.const 8)))
        (br_if $l (i32.lt_u (local.get $p) (i32.const 8000))) ${end}))))`);
  /** Index of the first mark in the tracked variant behind the first store of 8 bytes. */
  const distance = (bytes: Uint8Array): number => {
    const tracked = Buffer.from(rewriteForTest(bytes, { pollEvery: 64 }).tracked);
    const from = tracked.indexOf(Buffer.from([0x37, 0x03, 0x00]));
    return tracked.indexOf(Buffer.from([0x3a, 0x40, 0x01]), from) - from;
  };
  const stored = "(i64.store (local.get $p) (i64.const 5))";

  /** How often the tracked variant marks a page. */
  const marks = (body: string): number => {
    const tracked = Buffer.from(rewriteForTest(loop(body), { pollEvery: 64 }).tracked);
    const mark = Buffer.from([op.i32Store8, 0x40, 0x01, 0x40]);
    let count = 0;
    for (let at = tracked.indexOf(mark); at >= 0; at = tracked.indexOf(mark, at + 1)) count++;
    return count;
  };

  it("marks stores that are always near each other together, if none is reached without the first", () => {
    const near = "(i64.store offset=16 (i32.add (local.get $p) (i32.const 8)) (i64.const 6))";
    const far = "(i64.store offset=4000 (local.get $p) (i64.const 6))";
    const other = "(i64.store (i32.shl (local.get $p) (i32.const 1)) (i64.const 6))";
    const maybe = `(if (local.get $n) (then ${stored}))`;
    const one = marks(stored);
    expect(one).toBeGreaterThan(0);
    expect(marks(stored + near)).toBe(one);
    expect(marks(near + stored)).toBe(one);
    expect(marks(stored + maybe)).toBe(one);
    for (const apart of [far, other, maybe]) expect(marks(apart + stored)).toBeGreaterThan(one);
  });

  it("marks at its end, and one that can be left otherwise at each store", () => {
    expect(distance(loop(stored))).toBeGreaterThan(20);
    const leaves = "(br_if $out (i32.eq (local.get $n) (i32.const 5)))";
    expect(distance(loop(stored + leaves))).toBeLessThan(20);
  });
});
