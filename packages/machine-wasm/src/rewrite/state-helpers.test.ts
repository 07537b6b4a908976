import { describe, expect, it } from "vitest";
import { rewriteForTest, runDisturbed, runPlain } from "../../test/in-thread.ts";
import { wat } from "../../test/wat.ts";
import { GLOBALS_LIMIT } from "./control-layout.ts";

/** A command with so many mutable globals of 8 bytes that changes the first and the last of them in a loop. */
const withGlobals = (count: number): Uint8Array =>
  wat(`(module (memory (export "memory") 1)
    ${"(global (mut i64) (i64.const 0))".repeat(count)}
    (func (export "_start")
      (loop $l
        (global.set 0 (i64.add (global.get 0) (i64.const 1)))
        (global.set ${count - 1} (i64.add (global.get ${count - 1}) (i64.const 100)))
        (i64.store (i32.const 16) (i64.add (global.get 0) (global.get ${count - 1})))
        (br_if $l (i64.lt_u (global.get 0) (i64.const 5))))))`);

describe("mutable globals", () => {
  const most = GLOBALS_LIMIT / 8;

  it("are carried, as many as there can be", () => {
    const bytes = withGlobals(most);
    const actual = runDisturbed(bytes);
    expect(actual).toMatchObject({ end: "finished", missedPages: 0 });
    expect(actual.unwinds).toBeGreaterThan(3);
    expect(Buffer.compare(actual.memory, runPlain(bytes).memory)).toBe(0);
  });

  it("are refused when they are more, before the guest starts", () => {
    expect(() => rewriteForTest(withGlobals(most + 1))).toThrow(
      expect.objectContaining({
        code: "UNSUPPORTED_FEATURE",
        message: expect.stringContaining(
          `mutable globals of ${GLOBALS_LIMIT + 8} bytes (${GLOBALS_LIMIT} are possible in all)`,
        ) as string,
      }),
    );
  });
});
