import { expect, test } from "vitest";
import { addresses, packagesOf, specifiers, withCompiledNames } from "./specifiers.ts";

const MODULE = `
/**
 * Not one: import { a } from "commented";
 */
// import "commented-too";
import { readFileSync } from "node:fs";
import type { One } from "./one.ts";
import"./bare.js";
export { two } from '@scope/name/sub';
export * from "@scope/name/sub";
const three = await import("three/deep");
const thread = new Worker(new URL("./deep/thread.ts", import.meta.url));
const text = { from: "no module", pick: "from" };
`;

test("what a module imports", () => {
  expect(specifiers(MODULE)).toEqual(["node:fs", "./one.ts", "./bare.js", "@scope/name/sub", "three/deep"]);
  expect(packagesOf(MODULE)).toEqual(["@scope/name", "three"]);
  expect(addresses(MODULE)).toEqual(["./deep/thread.ts"]);
});

test("what was compiled names what was compiled", () => {
  const compiled = withCompiledNames(MODULE);
  expect(compiled).toContain('import type { One } from "./one.js";');
  expect(compiled).toContain('new URL("./deep/thread.js", import.meta.url)');
  expect(compiled).toContain('import("three/deep")');
  expect(withCompiledNames(compiled)).toBe(compiled);
});
