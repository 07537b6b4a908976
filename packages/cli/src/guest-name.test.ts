import fc from "fast-check";
import { expect, test } from "vitest";
import { checkGuestName, nameFromProgram } from "./guest-name.ts";

test.each(["a", "web-1", "_x.y", "0", "a".repeat(48)])("%s is a name", (name) => {
  expect(checkGuestName(name)).toBe(name);
});

test.each(["", ".", "..", "-S", ".hidden", "a/b", "a b", "ä", "a\0", "a\n", "a".repeat(49)])(
  "%j is no name",
  (name) => {
    expect(() => checkGuestName(name)).toThrow(expect.objectContaining({ code: "BAD_PARAMETER" }));
  },
);

test.each([
  ["/usr/lib/torture.wasm", "torture"],
  ["my program (2).wasm", "my-program-2-"],
  ["../.hidden.wasm", "hidden"],
  [".wasm", "guest"],
  ["ä.wasm", "guest"],
])("a guest that runs %s is named %s", (program, name) => {
  expect(nameFromProgram(program)).toBe(name);
});

test("every program gives a name, with room for a number", () => {
  fc.assert(
    fc.property(fc.string(), (program) => {
      const name = `${nameFromProgram(program)}-1000`;
      expect(checkGuestName(name)).toBe(name);
    }),
  );
});
