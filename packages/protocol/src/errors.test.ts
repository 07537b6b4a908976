import { expect, test } from "vitest";
import { MigrationError, unknownRamBlock } from "./index.ts";

test("an error crosses threads as plain data", () => {
  const whole = new MigrationError("TRUNCATED", "It ended.", {
    offset: 0,
    section: "ram",
    lastGoodSection: "configuration",
    cause: new Error("not sent"),
  });
  for (const error of [whole, new MigrationError("INTERNAL", "A defect.")]) {
    const data = structuredClone(error.serialize());
    expect("cause" in data).toBe(false);
    const again = MigrationError.deserialize(data);
    expect(MigrationError.is(again)).toBe(true);
    expect(again.serialize()).toEqual(error.serialize());
  }
});

test("a name from a peer cannot write over a terminal or begin a line", () => {
  const { message } = unknownRamBlock("a\u001b[2J\r\nb\u007f\u009b\u2028ü");
  const name = String.raw`a\u001b[2J\u000d\u000ab\u007f\u009b\u2028ü`;
  expect(message).toBe(`Unknown ramblock "${name}", cannot accept migration`);
});

test("of a message that is too long the middle is left out", () => {
  const { message } = unknownRamBlock("x".repeat(1_000_000));
  expect(message).toHaveLength(4005);
  expect(message).toMatch(/^Unknown ramblock "x+ \.\.\. x+", cannot accept migration$/u);
});

test("whatever was thrown becomes a MigrationError", () => {
  const error = new MigrationError("TRUNCATED", "It ended.");
  const cause = new Error("broken");
  expect(MigrationError.from(error)).toBe(error);
  expect(MigrationError.from(cause)).toMatchObject({ code: "INTERNAL", message: "broken", cause });
  expect(MigrationError.from("text", "CHANNEL_FAILED")).toMatchObject({
    code: "CHANNEL_FAILED",
    message: "text",
  });
  expect(MigrationError.is({ code: "TRUNCATED" })).toBe(false);
  expect(MigrationError.is(null)).toBe(false);
});
