import { MigrationError } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import { parseLine } from "./json-lines.ts";

describe("JSON from outside", () => {
  test("is refused in one line when it is none", () => {
    expect(() => parseLine({ kind: "line", text: "{nonsense" })).toThrow(
      expect.objectContaining({
        code: "BAD_COMMAND",
        message: expect.stringMatching(/^JSON parse error, .+/u),
      }),
    );
  });

  test("is refused when it could not be echoed", () => {
    const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
    expect(JSON.stringify(parseLine({ kind: "line", text: nested(1024) }))).toBe(nested(1024));
    for (const depth of [1025, 30_000]) {
      expect(() => parseLine({ kind: "line", text: nested(depth) })).toThrow(
        expect.objectContaining({ code: "BAD_COMMAND", message: "JSON parse error, too deeply nested" }),
      );
    }
  });

  test("is refused when it was no line", () => {
    const error = new MigrationError("LIMIT_EXCEEDED", "a line is longer than 5 bytes");
    expect(() => parseLine({ kind: "bad", error })).toThrow(
      expect.objectContaining({
        code: "LIMIT_EXCEEDED",
        message: "JSON parse error, a line is longer than 5 bytes",
      }),
    );
  });
});
