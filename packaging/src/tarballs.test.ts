// What is in the tarballs, looked at without running it.
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import type { Problem } from "@arethetypeswrong/core";
import { existsSync, globSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { expect, test } from "vitest";
import { packed } from "./pack.ts";
import { addresses, packagesOf, specifiers } from "./specifiers.ts";
import { readManifest, WORKSPACE } from "./workspace.ts";

const PACKAGES = packed().map((one) => ({ ...one, name: one.source.manifest.name }));

/** Looked for before it is used: the dashboard's page is built anew in the workspace. */
const ONLY_IN_WORKSPACE = "../page/build.ts";

/** Of packages for `import` alone: that `require` gets the same, and that old ways of looking for a module find nothing. */
const FOR_OTHERS: readonly Problem["kind"][] = ["CJSResolvesToESM"];
const NOT_FOR: readonly string[] = ["node10", "node16-cjs"];

test.each(PACKAGES)("$name: publint has nothing to say", async ({ tarball, directory }) => {
  const bytes = readFileSync(tarball);
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const { messages } = await publint({ pack: { tarball: copy }, level: "suggestion", strict: true });
  const manifest = readManifest(directory);
  expect(messages.map((message) => formatMessage(message, manifest, { color: false }))).toEqual([]);
});

test.each(PACKAGES.filter(({ source }) => !source.hasCommands))(
  "$name: compilers find its types, and take them for those of a module",
  async ({ tarball, source }) => {
    const result = await checkPackage(createPackageFromTarballData(readFileSync(tarball)));
    if (result.types === false) throw new Error("it has no types");
    expect(Object.keys(result.entrypoints)).toEqual(
      expect.arrayContaining(Array.from(source.exports.keys())),
    );
    const problems = result.problems.filter(
      (problem) =>
        !FOR_OTHERS.includes(problem.kind) &&
        !("resolutionKind" in problem && NOT_FOR.includes(problem.resolutionKind)),
    );
    expect(problems).toEqual([]);
  },
);

test.each(PACKAGES)(
  "$name: the manifest says what users and registries have to know",
  ({ directory, source }) => {
    const manifest = JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as object;
    expect(manifest).toMatchObject({
      name: source.manifest.name,
      version: expect.stringMatching(/^\d+\.\d+\.\d+(?:-[\w.]+)?$/u),
      description: expect.stringMatching(/^.{20,}[^.]$/u),
      license: "Apache-2.0",
      type: "module",
      engines: { node: ">=24" },
      publishConfig: { access: "public", provenance: true },
    });
    expect(source.manifest.keywords).toContain(source.folder === "host-memory" ? "memory" : "live-migration");
    expect(manifest).not.toHaveProperty("scripts");
    expect(manifest).not.toHaveProperty("devDependencies");
    expect(JSON.stringify(manifest)).not.toMatch(/workspace|(?<!\.d)\.ts"/u);
    for (const file of ["LICENSE", "README.md"]) expect(existsSync(join(directory, file))).toBe(true);
  },
);

test.each(PACKAGES)("$name: every module that it names is in it or declared", ({ directory }) => {
  const manifest = readManifest(directory);
  const declared = new Set([
    manifest.name,
    ...Object.keys({
      ...manifest.dependencies,
      ...manifest.optionalDependencies,
      ...manifest.peerDependencies,
    }),
  ]);
  const modules = globSync("{bin,dist}/**/*.{js,mjs,d.ts}", { cwd: directory });
  expect(modules.length).toBeGreaterThan(0);
  const missing = modules.flatMap((file) => {
    const text = readFileSync(join(directory, file), "utf8");
    const relative = [...specifiers(text).filter((name) => name.startsWith(".")), ...addresses(text)];
    const absent = relative.filter(
      (name) => name !== ONLY_IN_WORKSPACE && !existsSync(resolve(directory, dirname(file), name)),
    );
    const undeclared = packagesOf(text).filter((name) => !declared.has(name));
    return [...absent, ...undeclared].map((name) => `${file}: ${name}`);
  });
  expect(missing).toEqual([]);
});

test.each(PACKAGES)("$name: nothing in it is of the workspace, or a test", ({ directory }) => {
  const files = globSync("**/*", { cwd: directory, withFileTypes: true }).filter((entry) => entry.isFile());
  const paths = files.map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1));
  expect(paths.filter((path) => /\.test\.|(?<!\.d)\.ts$|tsconfig/u.test(path))).toEqual([]);
  const telling = paths.filter((path) => readFileSync(join(directory, path), "utf8").includes(WORKSPACE));
  expect(telling).toEqual([]);
});
