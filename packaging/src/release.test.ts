import { expect, test } from "vitest";
import { notesOf, objections } from "./release.ts";

test("a tag that fits, with nothing left to be released", () => {
  expect(objections("v0.2.0", ["0.2.0", "0.2.0"], [])).toEqual([]);
});

test("what is against a release", () => {
  expect(objections("v0.2.0", ["0.2.0", "0.1.0"], [])).toEqual([
    "the tag is v0.2.0, and packages have the version 0.1.0",
  ]);
  expect(objections(undefined, ["0.2.0"], [])).toEqual([
    "the tag is missing, and packages have the version 0.2.0",
  ]);
  expect(objections("v0.2.0", ["0.2.0"], ["a.md", "b.md"])).toEqual([
    'a.md, b.md would be left out: run "pnpm changeset version", and commit',
  ]);
});

test("the notes of a version", () => {
  const changelog =
    "# name\n\n## 0.2.0\n\n### Minor Changes\n\n- Two\n\n## 0.2.0-rc.1\n\n- One\n\n## 0.1.0\n\n- Zero\n";
  expect(notesOf(changelog, "0.2.0")).toBe("### Minor Changes\n\n- Two");
  expect(notesOf(changelog, "0.1.0")).toBe("- Zero");
  expect(notesOf(changelog, "0.3.0")).toBe("");
});
