import { describe, expect, it } from "vitest";
import { wat } from "../../test/wat.ts";
import { buildCallGraph } from "./call-graph.ts";
import { decodeFunction } from "./function-code.ts";
import { FramePlanner, type FunctionFrames } from "./function-frames.ts";
import { findLiveLocals } from "./liveness.ts";
import { parseModule } from "./module.ts";
import { findSites } from "./sites.ts";

/** Plans the frames of a function with eight parameters, which it reads at its end. */
function planned(body: string): FunctionFrames {
  const module = parseModule(
    wat(`(module (memory (export "memory") 1)
      (func $spin (local $n i32) (loop $l (br_if $l (local.get $n))))
      (func $f (param i32 i32 i32 i32 i32 i32 i32 i32) (local $n i32)
        ${body}
        ${Array.from({ length: 8 }, (_, n) => `(drop (local.get ${n}))`).join(" ")})
      (func (export "_start")))`),
  );
  const functions = new Map([0, 1, 2].map((index) => [index, decodeFunction(module, index)]));
  const graph = buildCallGraph(module, functions, new Set());
  const code = functions.get(1)!;
  const analysis = findSites(module, code, graph, new Set());
  findLiveLocals(module, code, analysis);
  return new FramePlanner().plan(code, analysis);
}

const SPIN = "(call $spin)";

describe("the frames of a function", () => {
  it("are saved by the same code where they hold the same values, and there are enough of these", () => {
    const { savedBy, savedTogether } = planned(
      `${SPIN} ${SPIN} (drop (local.get 0)) ${SPIN} (local.set 0 (i32.const 1))`,
    );
    // Nobody reads the first parameter behind the last call, so that this one stands alone.
    expect([...savedBy]).toEqual([0, 0, -1]);
    expect(savedTogether.map(({ values }) => values.length)).toEqual([8]);
  });

  it("are saved alone where the way to such code takes more than it spares", () => {
    const few = `(local.set 0 (i32.const 0)) ${Array.from({ length: 7 }, (_, n) => `(local.set ${n + 1} (local.get 0))`).join(" ")}`;
    expect([...planned(`${SPIN} ${SPIN} ${few}`).savedBy]).toEqual([-1, -1]);
    expect([...planned(`${SPIN} ${SPIN}`).savedBy]).toEqual([0, 0]);
  });

  it("are saved alone in loops that have no site but their poll", () => {
    const loop = "(loop $l (br_if $l (local.get $n)))";
    expect([...planned(`${loop} ${SPIN} ${SPIN}`).savedBy].filter((by) => by !== -1)).toHaveLength(2);
    const large = `(loop $l ${SPIN} (br_if $l (i32.const 0)))`;
    expect([...planned(`${large} ${SPIN}`).savedBy]).toEqual([0, 0, 0]);
  });
});
