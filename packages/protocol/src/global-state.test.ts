import * as fc from "fast-check";
import { expect, test } from "vitest";
import golden from "../test/golden/wire.json" with { type: "json" };
import { refusal, toHex } from "../test/support.ts";
import { decodeGlobalState, encodeGlobalState, GLOBAL_STATE_BYTES } from "./index.ts";

test("running, as real QEMU writes it", () => {
  expect(toHex(encodeGlobalState("running"))).toBe(
    golden.globalStateRunning.padEnd(2 * GLOBAL_STATE_BYTES, "0"),
  );
});

test("every run state that fits comes back", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 24 }).filter((one) => !one.includes("\0"));
  fc.assert(
    fc.property(text, (state) => {
      fc.pre(new TextEncoder().encode(state).length < 100);
      expect(decodeGlobalState(encodeGlobalState(state))).toBe(state);
    }),
  );
});

test("a payload that breaks the format is refused", () => {
  const good = encodeGlobalState("paused");
  const unterminated = new Uint8Array(GLOBAL_STATE_BYTES).fill(0x61).fill(0, 0, 4);
  const tooLarge = good.slice();
  tooLarge[3] = 101;
  const notText = good.slice();
  notText[4] = 0xff;
  for (const payload of [good.subarray(1), unterminated, tooLarge, notText]) {
    expect(refusal(() => decodeGlobalState(payload)).code).toBe("BAD_SECTION");
  }
  expect(refusal(() => encodeGlobalState("x".repeat(100))).code).toBe("INTERNAL");
  expect(refusal(() => encodeGlobalState("a\0b")).code).toBe("INTERNAL");
});
