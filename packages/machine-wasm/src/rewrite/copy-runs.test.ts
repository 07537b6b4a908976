import { describe, expect, it } from "vitest";
import { wat } from "../../test/wat.ts";
import { buildCallGraph } from "./call-graph.ts";
import { findRuns } from "./copy-runs.ts";
import { decodeFunction } from "./function-code.ts";
import { parseModule } from "./module.ts";
import { op } from "./opcodes.ts";
import { findSites } from "./sites.ts";

/** Opcodes of the runs of a module's only function, for the plain and the tracked variant. */
function runsOf(bytes: Uint8Array): { readonly plain: number[][]; readonly tracked: number[][] } {
  const module = parseModule(bytes);
  const code = decodeFunction(module, 0);
  const functions = new Map([[0, code]]);
  const graph = buildCallGraph(module, functions, new Set());
  const runs = findRuns(code, findSites(module, code, graph, new Set()));
  const list = (ends: Uint32Array): number[][] => {
    const found: number[][] = [];
    for (let i = 0; i < code.count; i = Math.max(ends[i]!, i + 1))
      if (ends[i]! > i) found.push([...code.code.subarray(i, ends[i])]);
    return found;
  };
  return { plain: list(runs.plain), tracked: list(runs.tracked) };
}

const command = (body: string): Uint8Array =>
  wat(`(module (memory (export "memory") 1) (global $g (mut i32) (i32.const 0))
    (func (export "_start") (local $x i32) ${body}))`);

describe("code that is copied as it is", () => {
  it("ends where control goes elsewhere", () => {
    const { plain, tracked } = runsOf(
      command("(if (i32.load (local.get $x)) (then (drop (i32.const 1)))) (drop (i32.const 2))"),
    );
    expect(plain).toEqual([
      [op.localGet, op.i32Load],
      [op.i32Const, op.drop],
      [op.i32Const, op.drop],
    ]);
    expect(tracked).toEqual(plain);
  });

  it("ends at stores and at what writes to locals only where stores are marked", () => {
    const { plain, tracked } = runsOf(
      command("(i32.store (local.get $x) (i32.const 5)) (local.set $x (i32.const 6))"),
    );
    const store = 0x36;
    expect(plain).toEqual([[op.localGet, op.i32Const, store, op.i32Const, op.localSet]]);
    expect(tracked).toEqual([[op.localGet, op.i32Const], [op.i32Const]]);
  });

  it("leaves out what is pending at a site, which is kept, and what can never run", () => {
    const { plain } = runsOf(
      command(`(i32.store (local.get $x) (loop $l (result i32)
        (br_if $l (i32.const 1)) (i32.const 2)))
        (return) (drop (i32.const 3))`),
    );
    const store = 0x36;
    expect(plain).toEqual([[op.i32Const], [op.i32Const], [store]]);
  });

  it("has only numbers in their shortest form", () => {
    const long = command("(global.set $g (i32.const 5)) (drop (i32.load offset=7 (i32.const 8)))");
    // wat writes the shortest form; here are the longer ones that linkers write, in the same instructions.
    const padded = (value: number): number[] => [value | 0x80, 0x80, 0x80, 0x80, 0];
    const body = [
      1,
      1,
      0x7f,
      0x41,
      ...padded(5),
      0x24,
      ...padded(0),
      0x41,
      8,
      0x28,
      2,
      ...padded(7),
      0x1a,
      0x0b,
    ];
    const code = long.findIndex((byte, n) => byte === 10 && long[n + 2] === 1 && n > 40);
    const bytes = Uint8Array.from([...long.subarray(0, code), 10, body.length + 2, 1, body.length, ...body]);
    expect(WebAssembly.validate(bytes)).toBe(true);
    expect(runsOf(bytes).plain).toEqual([[op.i32Const], [op.drop]]);
    expect(runsOf(long).plain).toEqual([[op.i32Const, op.globalSet, op.i32Const, op.i32Load, op.drop]]);
  });

  it("knows the shortest form of every number", () => {
    for (const value of [
      0,
      1,
      63,
      64,
      127,
      128,
      8191,
      8192,
      1 << 20,
      0x7fffffff,
      -1,
      -64,
      -65,
      -8192,
      -8193,
      -0x80000000,
    ]) {
      const { plain } = runsOf(command(`(drop (i32.const ${value}))`));
      expect(plain, String(value)).toEqual([[op.i32Const, op.drop]]);
    }
    for (const offset of [0, 127, 128, 16383, 16384, 0x7fffffff, 0xffffffff]) {
      const { plain } = runsOf(command(`(drop (i32.load offset=${offset} (i32.const 0)))`));
      expect(plain, String(offset)).toEqual([[op.i32Const, op.i32Load, op.drop]]);
    }
  });
});
