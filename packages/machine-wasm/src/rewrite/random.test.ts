import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { runDisturbed, runPlain } from "../../test/in-thread.ts";
import { randomProgram } from "../../test/random-program.ts";
import { wat } from "../../test/wat.ts";

describe("random programs", () => {
  it("do the same when they are unwound at every safepoint, and no write goes unmarked", () => {
    let unwinds = 0;
    const ends = new Set<string>();
    fc.assert(
      fc.property(randomProgram, fc.constantFrom(1, 2, 4), (text, pollEvery) => {
        const bytes = wat(text);
        const expected = runPlain(bytes);
        const actual = runDisturbed(bytes, undefined, { pollEvery });
        expect(actual.end).toBe(expected.end);
        expect(Buffer.compare(actual.memory, expected.memory)).toBe(0);
        expect(actual.missedPages).toBe(0);
        unwinds += actual.unwinds;
        ends.add(expected.end);
      }),
      { numRuns: 150, interruptAfterTimeLimit: 8000, markInterruptAsFailure: false },
    );
    expect(unwinds).toBeGreaterThan(100);
    expect(ends).toContain("finished");
    expect(ends.size, "no program trapped").toBeGreaterThan(1);
  }, 30_000);
});
