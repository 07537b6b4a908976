import { describe, expect, it } from "vitest";
import { rewriteForTest, runDisturbed, runPlain } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";

/** Wraps functions into a command: memory, and helpers that record values at ascending addresses. */
const command = (body: string, extra = ""): Uint8Array =>
  wat(`(module
    ${extra}
    (memory (export "memory") 2)
    (global $at (mut i32) (i32.const 16))
    (func $put (param i32)
      (i32.store (global.get $at) (local.get 0))
      (global.set $at (i32.add (global.get $at) (i32.const 4))))
    (func $put64 (param i64)
      (i64.store (global.get $at) (local.get 0))
      (global.set $at (i32.add (global.get $at) (i32.const 8))))
    ;; spins, so that every call of it is a safepoint, and returns its argument
    (func $spin (param i32) (result i32) (local $n i32)
      (loop $l
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 3))))
      (local.get 0))
    ${body})`);

const CASES: Record<string, Uint8Array> = {
  "a loop": command(`(func (export "_start") (local $i i32)
    (loop $l
      (call $put (local.get $i))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 20)))))`),
  "nested loops with a branch to the outer one":
    command(`(func (export "_start") (local $i i32) (local $j i32)
    (loop $outer
      (local.set $j (i32.const 0))
      (loop $inner
        (call $put (i32.add (i32.mul (local.get $i) (i32.const 100)) (local.get $j)))
        (local.set $j (i32.add (local.get $j) (i32.const 1)))
        (br_if $inner (i32.lt_u (local.get $j) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $outer (i32.lt_u (local.get $i) (i32.const 8)))))`),
  "operands pending over calls, of every type": command(`(func (export "_start") (local $i i32)
    (loop $l
      (call $put (i32.add (i32.mul (local.get $i) (i32.const 7)) (call $spin (local.get $i))))
      (call $put64 (i64.add (i64.extend_i32_u (local.get $i)) (i64.extend_i32_u (call $spin (i32.const 5)))))
      (call $put64 (i64.reinterpret_f64 (f64.add (f64.convert_i32_u (local.get $i)) (f64.convert_i32_u (call $spin (i32.const 9))))))
      (call $put (i32.reinterpret_f32 (f32.sub (f32.convert_i32_u (local.get $i)) (f32.convert_i32_u (call $spin (i32.const 2))))))
      (call $put (i32x4.extract_lane 2 (i32x4.add (i32x4.splat (local.get $i)) (i32x4.splat (call $spin (i32.const 4))))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $l (i32.lt_u (local.get $i) (i32.const 5)))))`),
  "calls as arguments of calls": command(`(func $sum (param i32 i32 i32) (result i32)
      (i32.add (call $spin (local.get 0)) (i32.mul (call $spin (local.get 1)) (call $spin (local.get 2)))))
    (func (export "_start")
      (call $put (call $sum (call $spin (i32.const 1)) (call $sum (i32.const 2) (call $spin (i32.const 3)) (i32.const 4)) (call $spin (i32.const 5)))))`),
  "conditions, both arms, with and without else": command(`(func $choose (param $x i32) (result i32)
      (if (result i32) (i32.and (local.get $x) (i32.const 1))
        (then (i32.add (i32.const 1000) (call $spin (local.get $x))))
        (else
          (if (i32.and (local.get $x) (i32.const 2)) (then (call $put (call $spin (i32.const 77)))))
          (i32.sub (i32.const 1000) (call $spin (local.get $x))))))
    (func (export "_start") (local $i i32)
      (loop $l
        (call $put (call $choose (call $spin (local.get $i))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 9)))))`),
  "a switch": command(`(func $switch (param $x i32)
      (block $d (block $c (block $b (block $a
        (br_table $a $b $c $d (local.get $x)))
        (call $put (call $spin (i32.const 10)))
        (call $put (call $spin (i32.const 11))))
        (call $put (call $spin (i32.const 20)))
        (br $d))
        (call $put (call $spin (i32.const 30))))
      (call $put (call $spin (i32.const 40))))
    (func (export "_start") (local $i i32)
      (loop $l
        (call $switch (local.get $i))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 6)))))`),
  "recursion, direct and through a table": command(
    `(type $t (func (param i32) (result i32)))
    (table funcref (elem $even $odd))
    (func $even (param $n i32) (result i32)
      (if (result i32) (i32.eqz (local.get $n)) (then (i32.const 1))
        (else (i32.add (local.get $n) (call_indirect (type $t) (i32.sub (local.get $n) (i32.const 1)) (i32.const 1))))))
    (func $odd (param $n i32) (result i32)
      (if (result i32) (i32.eqz (local.get $n)) (then (i32.const 0))
        (else (i32.xor (local.get $n) (call $even (i32.sub (local.get $n) (i32.const 1)))))))
    (func (export "_start") (call $put (call $even (i32.const 60))) (call $put (call $odd (i32.const 31))))`,
  ),
  "recursion in functions that begin with a block": command(`(func $down (param $n i32)
      (block $end
        (call $put (local.get $n))
        (br_if $end (i32.eqz (local.get $n)))
        (call $down (i32.sub (local.get $n) (i32.const 1)))
        (call $put (call $spin (local.get $n)))))
    (func (export "_start") (call $down (i32.const 9)))`),
  "several results": command(`(func $pair (param i32) (result i32 i64)
      (call $spin (local.get 0)) (i64.extend_i32_u (call $spin (i32.const 3))))
    (func (export "_start") (local $a i32) (local $b i64)
      (i32.const 5) (call $pair (i32.const 8)) (local.set $b) (call $spin (i32.const 1)) i32.add i32.add (call $put)
      (call $put64 (local.get $b)))`),
  "calls of every kind of result in one function": command(`(func $long (param i64) (result i64)
      (drop (call $spin (i32.const 1))) (i64.mul (local.get 0) (i64.const 3)))
    (func $real (param f64) (result f64) (f64.add (local.get 0) (f64.convert_i32_u (call $spin (i32.const 2)))))
    (func $nothing (param i32) (call $put (call $spin (local.get 0))))
    (func $two (param i32) (result i32 i32) (call $spin (local.get 0)) (call $spin (i32.const 8)))
    (func (export "_start") (local $i i32) (local $sum i64)
      (loop $l
        (call $nothing (local.get $i))
        (drop (call $spin (i32.const 70)))
        (local.set $sum (i64.add (call $long (local.get $sum)) (call $long (i64.extend_i32_u (local.get $i)))))
        (drop (drop (call $two (i32.const 1)) (call $nothing (i32.const 2))))
        (if (i32.and (local.get $i) (i32.const 1)) (then
          (call $put (i32.add (i32.const 5) (i32.trunc_f64_s (call $real (f64.convert_i32_u (local.get $i))))))
          (drop (call $real (f64.const 1)))))
        (call $put (i32.sub (i32.const 1) (i32.mul (call $two (local.get $i)))))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 6))))
      (call $put64 (local.get $sum)) (drop (call $spin (i32.const 3))))`),
  "many calls with the same values behind them":
    command(`(func $many (param i32 i32 i32 i32 i32 i32 i64) (result i32)
      (if (local.get 0) (then (call $put (call $spin (i32.const 1)))) (else (drop (call $spin (i32.const 2)))))
      (block $b
        (br_if $b (call $spin (local.get 1)))
        (call $put (call $spin (i32.const 3)))
        (local.set 2 (call $spin (local.get 3))))
      (loop $l
        (call $put (call $spin (local.get 2)))
        (local.set 2 (i32.sub (local.get 2) (i32.const 1)))
        (br_if $l (i32.gt_s (local.get 2) (i32.const 0))))
      (call $put64 (local.get 6))
      (i32.add (i32.add (i32.add (local.get 0) (local.get 1)) (i32.add (local.get 2) (local.get 3))) (i32.add (local.get 4) (local.get 5))))
    (func (export "_start")
      (call $put (call $many (i32.const 0) (i32.const 1) (i32.const 2) (i32.const 3) (i32.const 4) (i32.const 5) (i64.const 6)))
      (call $put (call $many (i32.const 7) (i32.const 0) (i32.const 5) (i32.const 2) (i32.const 9) (i32.const 8) (i64.const 7))))`),
  "blocks and loops with parameters": command(`(func (export "_start") (local $n i32)
      (i32.const 3) (i64.const 40)
      (loop $l (param i32 i64) (result i32 i64)
        (i64.add (i64.extend_i32_u (call $spin (i32.const 2))))
        (block (param i32 i64) (result i32 i64) (call $put (call $spin (i32.const 6))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $n) (i32.const 7))))
      (call $put64) (call $put)
      (i32.const 11) (local.get $n)
      (if (param i32) (result i32)
        (then (i32.add (call $spin (i32.const 100))))
        (else (i32.sub (call $spin (i32.const 100)))))
      (call $put))`),
  "tail calls": command(`(func $down (param $n i32) (param $sum i32) (result i32)
      (if (i32.eqz (local.get $n)) (then (return (call $spin (local.get $sum)))))
      (return_call $down (i32.sub (local.get $n) (i32.const 1)) (i32.add (local.get $sum) (call $spin (local.get $n)))))
    (func $start (param i32) (result i32) (return_call $down (local.get 0) (i32.const 0)))
    (func (export "_start") (call $put (i32.add (i32.const 1) (call $start (i32.const 20)))))`),
  "a table that changes": command(
    `(type $t (func (result i32)))
    (table $t 4 8 funcref)
    (elem declare func $one $two)
    (elem $seg func $two $one)
    (func $one (result i32) (call $spin (i32.const 1)))
    (func $two (result i32) (call $spin (i32.const 2)))
    (func (export "_start")
      (table.set $t (i32.const 2) (ref.func $one))
      (call $put (call $spin (i32.const 0)))
      (call $put (call_indirect (type $t) (i32.const 2)))
      (table.init $t $seg (i32.const 0) (i32.const 0) (i32.const 2))
      (elem.drop $seg)
      (call $put (call_indirect (type $t) (i32.const 0)))
      (drop (table.grow $t (ref.func $two) (i32.const 2)))
      (call $put (call_indirect (type $t) (i32.const 5)))
      (call $put (table.size $t))
      (table.init $t $seg (i32.const 0) (i32.const 0) (i32.const 1)))`,
  ),
  "a function that only a global refers to": command(
    `(type $t (func (result i32)))
    (table $t 2 funcref)
    (global $g funcref (ref.func $one))
    (func $one (result i32) (call $spin (i32.const 7)))
    (func (export "_start")
      (table.set $t (i32.const 1) (global.get $g))
      (call $put (call_indirect (type $t) (i32.const 1))))`,
  ),
  "passive data, dropped": command(
    `(data $d "hello world")
    (func (export "_start")
      (memory.init $d (i32.const 4090) (i32.const 0) (i32.const 11))
      (data.drop $d)
      (call $put (call $spin (i32.const 3)))
      (memory.copy (i32.const 8185) (i32.const 4090) (i32.const 11))
      (call $put (call $spin (i32.const 3)))
      (memory.fill (i32.const 12280) (i32.const 7) (i32.const 20))
      (call $put (call $spin (i32.const 3)))
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 1)))`,
  ),
  "active data and a start function": command(
    `(data (i32.const 100) "data")
    (global $m (mut i64) (i64.const 77))
    (func $init (call $put (call $spin (i32.const 9))) (global.set $m (i64.const 78)))
    (start $init)
    (func (export "_start") (call $put (call $spin (i32.const 1))) (call $put64 (global.get $m)))`,
  ),
  "stores across a page boundary": command(`(func (export "_start") (local $i i32)
      (loop $l
        (i64.store (i32.add (i32.const 8185) (local.get $i)) (i64.const 0x1122334455667788))
        (drop (call $spin (i32.const 0)))
        (i32.store16 offset=4095 (i32.shl (local.get $i) (i32.const 12)) (i32.const 0x4243))
        (v128.store (i32.add (i32.const 61430) (local.get $i)) (i32x4.splat (local.get $i)))
        (v128.store64_lane 1 (i32.add (i32.const 32760) (local.get $i)) (i32x4.splat (local.get $i)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 9)))))`),
  "stores to offsets from one address, on both sides of a page boundary":
    command(`(func (export "_start") (local $i i32) (local $p i32)
      (loop $l
        (i32.store16 offset=14 (local.tee $p (i32.add (i32.const 11900) (i32.mul (local.get $i) (i32.const 7)))) (local.get $i))
        (i64.store offset=4000 (local.get $p) (i64.extend_i32_u (local.get $i)))
        (i32.store8 offset=388 (local.get $p) (local.get $i))
        (i32.store offset=4400 (local.get $p) (local.get $i))
        (drop (call $spin (i32.const 0)))
        (i64.store offset=8 (local.get $p) (i64.extend_i32_u (i32.add (i32.const 9) (local.get $i))))
        (i32.store offset=3 (local.get $p) (local.get $i))
        (local.set $p (i32.add (local.get $p) (i32.const 20000)))
        (i32.store offset=500 (local.get $p) (local.get $i))
        (i32.store offset=490 (local.get $p) (local.get $i))
        (if (i32.and (local.get $i) (i32.const 1)) (then (i32.store offset=9000 (local.get $p) (local.get $i))))
        (i32.store (i32.const 4092) (local.get $i))
        (i32.store offset=4 (i32.const 4092) (local.get $i))
        (drop (call $spin (i32.const 0)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 80)))))`),
  "memory that grows": command(`(func (export "_start")
      (call $put (memory.grow (call $spin (i32.const 1))))
      (i32.store (i32.const 131072) (call $spin (i32.const 5)))
      (call $put (memory.size))
      (i64.store (i32.const 196604) (i64.const 1)))`),
  "code that cannot be reached": command(`(func $f (param i32) (result i32)
      (block $b (result i32)
        (loop $l
          (if (local.get 0) (then (br $b (call $spin (i32.const 4)))))
          (br $l)
          (drop (call $spin (i32.const 5)))
          (block (loop (br 0))))
        (unreachable)))
    (func (export "_start") (call $put (call $f (i32.const 1))) (return) (call $put (i32.const 1)))`),
  "a not-a-number with a payload": command(`(global $f (mut f64) (f64.const nan:0x123456789))
    (func (export "_start") (local $x f32)
      (local.set $x (f32.const nan:0x2345))
      (call $put (call $spin (i32.const 1)))
      (call $put (i32.reinterpret_f32 (local.get $x)))
      (call $put64 (i64.reinterpret_f64 (global.get $f))))`),
  "a trap deep in calls": command(`(func $f (param i32) (result i32)
      (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))))
        (else (i32.div_u (i32.const 1) (call $spin (i32.const 0))))))
    (func (export "_start") (call $put (i32.const 1)) (drop (call $f (i32.const 10))))`),
};

describe("a program that is unwound at every safepoint", () => {
  for (const [name, bytes] of Object.entries(CASES)) {
    it(`does the same with ${name}`, () => {
      const expected = runPlain(bytes);
      const actual = runDisturbed(bytes);
      expect(actual.end).toBe(expected.end);
      expect(Buffer.from(actual.memory).equals(expected.memory)).toBe(true);
      expect(actual.unwinds).toBeGreaterThan(1);
      expect(actual.missedPages).toBe(0);
    });
  }

  it("does the same with more sites in one function than a branch table has entries", () => {
    const asked = new Set([0, 100, 59_998, 59_999, 60_000, 60_001, 60_999]);
    const calls = Array.from({ length: 61_000 }, (_, n) => {
      const argument = `(i32.const ${asked.has(n) ? 1 : 0})`;
      return n % 3 === 0 ? `(call $v ${argument})` : `(drop (call $r ${argument}))`;
    });
    const bytes =
      command(`(func $v (param i32) (if (local.get 0) (then (call $put (call $spin (i32.const 4))))))
      (func $r (param i32) (result i32) (call $v (local.get 0)) (i32.const 1))
      (func (export "_start") ${calls.join("\n")})`);
    const actual = runDisturbed(bytes);
    expect(Buffer.from(actual.memory).equals(runPlain(bytes).memory)).toBe(true);
    expect(actual.unwinds).toBeGreaterThan(asked.size);
  });

  const marks = [
    ["stores across a page boundary", "atomic stores", [0xfe, 0x19]],
    ["passive data, dropped", "a fence", [0xfe, 0x03, 0x00]],
  ] as const;
  for (const [name, how, opcode] of marks) {
    it(`does the same with ${name}, marked by ${how} for processors that reorder stores`, () => {
      const bytes = CASES[name]!;
      const actual = runDisturbed(bytes, () => ({}), { releaseMarks: true });
      expect(Buffer.from(actual.memory).equals(runPlain(bytes).memory)).toBe(true);
      expect(actual.missedPages).toBe(0);
      const hasOpcode = (releaseMarks: boolean): boolean =>
        Buffer.from(rewriteForTest(bytes, { releaseMarks }).tracked).includes(Buffer.from(opcode));
      expect([hasOpcode(true), hasOpcode(false)]).toEqual([true, false]);
    });
  }

  it("issues a blocking host call again with its arguments", () => {
    const bytes = command(
      `(func (export "_start") (local $i i32)
        (loop $l
          (call $put (i32.add (i32.mul (i32.const 1000) (local.get $i)) (call $poll (local.get $i) (i32.add (local.get $i) (i32.const 1)) (i32.const 3) (i32.const 4))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $l (i32.lt_u (local.get $i) (i32.const 5)))))`,
      `(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))`,
    );
    const answer = (...args: (number | bigint)[]): number =>
      args.reduce((sum: number, arg) => sum * 10 + Number(arg), 0);
    const expected = runPlain(bytes, { poll_oneoff: answer });
    let calls = 0;
    const actual = runDisturbed(bytes, (unwindIfAsked) => ({
      poll_oneoff: (...args) => {
        calls++;
        if (calls % 3 !== 0) unwindIfAsked();
        return answer(...args);
      },
    }));
    expect(Buffer.from(actual.memory).equals(expected.memory)).toBe(true);
    expect(calls).toBeGreaterThan(5);
  });
});

describe("what cannot be migrated is refused before it starts", () => {
  const refused: Record<string, [string, RegExp]> = {
    "atomic instructions": [
      `(module (memory (export "memory") 1 1 shared) (func (export "_start") (drop (i32.atomic.load (i32.const 0)))))`,
      /shared memory/,
    ],
    "atomics on private memory": [
      `(module (memory (export "memory") 1) (func (export "_start") (drop (i32.atomic.load (i32.const 0)))))`,
      /atomic instructions.*function 0, offset 0x/,
    ],
    "exception handling": [
      `(module (tag $t) (memory (export "memory") 1) (func (export "_start") (try (do (throw $t)) (catch_all))))`,
      /exception handling/,
    ],
    "an unknown import": [
      `(module (import "env" "x" (func)) (memory (export "memory") 1) (func (export "_start")))`,
      /env\.x, which is not a function of WASI/,
    ],
    "an imported memory": [
      `(module (import "env" "memory" (memory 1)) (func (export "_start")))`,
      /imported memory env\.memory/,
    ],
    "a library": [`(module (memory (export "memory") 1) (func (export "_initialize")))`, /no _start/],
    "no memory": [
      `(module (func (export "_start")))`,
      /^The module has no memory, .*build it for wasm32-wasip1$/,
    ],
    "a reference in a local across a call": [
      `(module (memory (export "memory") 1) (table 1 funcref) (func $f (loop $l (br_if $l (i32.load (i32.const 0)))))
        (func (export "_start") (local funcref) (local.set 0 (table.get 0 (i32.const 0))) (call $f) (table.set 0 (i32.const 0) (local.get 0))))`,
      /reference held in a local across a call.*function 1, local 0/,
    ],
    "a pointer to a blocking host call": [
      `(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $p (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1) (table funcref (elem $p)) (func (export "_start")))`,
      /pointer to the host call poll_oneoff/,
    ],
  };
  const readOf = `(import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)`;
  refused["a tail call of a blocking host call"] = [
    `(module ${readOf} (func $f (result i32) (return_call $read (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
      (func (export "_start") (drop (call $f))))`,
    /tail call of the host call fd_read \(function 1\)/,
  ];
  refused["a pointer to a blocking host call, by its export"] = [
    `(module ${readOf} (table 1 funcref) (export "x" (func $read))
      (func (export "_start") (table.set 0 (i32.const 0) (ref.func $read))))`,
    /pointer to the host call fd_read/,
  ];
  refused["a pointer to a blocking host call, by a global"] = [
    `(module ${readOf} (table 1 funcref) (global $g funcref (ref.func $read))
      (func (export "_start") (table.set 0 (i32.const 0) (global.get $g))))`,
    /pointer to the host call fd_read/,
  ];
  refused["tables that an engine would need gigabytes for"] = [
    `(module (memory (export "memory") 1) (table 600000 funcref) (table 600000 funcref) (func (export "_start")))`,
    /tables of 1200000 entries/,
  ];
  for (const [name, [text, message]] of Object.entries(refused)) {
    it(name, () => {
      expect(() => rewriteForTest(wat(text))).toThrow(
        expect.objectContaining({
          code: "UNSUPPORTED_FEATURE",
          message: expect.stringMatching(message) as string,
        }),
      );
    });
  }
});
