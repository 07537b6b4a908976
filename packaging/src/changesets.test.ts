import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { publicPackages, WORKSPACE } from "./workspace.ts";

test("all that is published has one version, and is released together", () => {
  const packages = publicPackages();
  const text = readFileSync(join(WORKSPACE, ".changeset/config.json"), "utf8");
  const { fixed } = JSON.parse(text) as { readonly fixed: readonly string[][] };
  // The dashboard is published as a part of the command line.
  const names = [...packages.map(({ manifest }) => manifest.name), "@peregrine/dashboard"];
  expect(fixed.map((group) => group.toSorted())).toEqual([names.toSorted()]);
  expect(new Set(packages.map(({ version }) => version)).size).toBe(1);
});
