import { describe, expect, it } from "vitest";
import { frameBytes, isSavedByFunction, runsOf } from "./frame-shape.ts";
import { F64, I32 } from "./opcodes.ts";

function shape(types: readonly number[], saves: number, inSmallLoop = false) {
  return { types, runs: runsOf(types), bytes: frameBytes(types), saves, inSmallLoop };
}

const ints = (count: number): number[] => Array.from({ length: count }, () => I32);

describe("a function that saves frames of one shape", () => {
  it("is made where it is shorter than what saves them in place", () => {
    expect(isSavedByFunction(shape(ints(1), 1))).toBe(false);
    expect(isSavedByFunction(shape(ints(1), 3))).toBe(true);
    expect(isSavedByFunction(shape(ints(16), 3))).toBe(false);
    expect(isSavedByFunction(shape(ints(16), 7))).toBe(true);
    // More runs are more calls in place.
    expect(isSavedByFunction(shape([...ints(3), F64, F64, F64], 2))).toBe(false);
    expect(isSavedByFunction(shape([...ints(3), F64, F64, F64], 4))).toBe(true);
  });

  it("is made for every loop that has only its own poll", () => {
    expect(isSavedByFunction(shape(ints(16), 1, true))).toBe(true);
  });
});
