import { expect, test } from "vitest";
import { NO_DIRECTORIES, resolverOf } from "./arrival-directories.ts";

const DATA = { guestPath: "/data", hostPath: "/srv/data" };
const ROOT = { guestPath: "/", hostPath: "/" };
const DRIVES = { guestPath: "/drives", hostPath: "drives:" };

test("a guest that arrives has no directory that was not given, whatever its source says", () => {
  const here = resolverOf({ given: [{ guestPath: "/data", hostPath: "/here" }], othersAsAtSource: false });
  expect([DATA, ROOT, { ...DATA, guestPath: "/data/" }].map(here)).toEqual(["/here", undefined, undefined]);
  expect([DATA, ROOT].map(resolverOf(NO_DIRECTORIES))).toEqual([undefined, undefined]);
});

test("it has the others where they were at the source, if the source is trusted", () => {
  const here = resolverOf({ given: [{ guestPath: "/data", hostPath: "/here" }], othersAsAtSource: true });
  expect([DATA, ROOT].map(here)).toEqual(["/here", "/"]);
});

test("the directory of its drives is none of the host", () => {
  const here = resolverOf(NO_DIRECTORIES);
  expect(here(DRIVES)).toBe("drives:");
  expect(here({ ...DRIVES, guestPath: "/other" })).toBeUndefined();
  expect(here({ ...DRIVES, hostPath: "/etc" })).toBeUndefined();
});
