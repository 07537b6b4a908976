import { execFileSync } from "node:child_process";
import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { addresses, withCompiledNames } from "./specifiers.ts";
import type { PublicPackage } from "./workspace.ts";
import { BUILD, WORKSPACE } from "./workspace.ts";

const EMITTED = join(BUILD, "compiled");

/**
 * Compiles libraries: what their exports reach, and the modules that are started as threads. Into `build/compiled/FOLDER`, as
 * JavaScript with declarations. Errors: those of the compiler, which it has printed.
 */
export function compile(packages: readonly PublicPackage[]): void {
  rmSync(EMITTED, { recursive: true, force: true });
  mkdirSync(EMITTED, { recursive: true });
  const configuration = join(EMITTED, "tsconfig.json");
  const options = {
    noEmit: false,
    declaration: true,
    rewriteRelativeImportExtensions: true,
    rootDir: join(WORKSPACE, "packages"),
    outDir: EMITTED,
    typeRoots: [join(WORKSPACE, "node_modules/@types")],
    // What is found in node_modules is not compiled, although it is the same files.
    paths: Object.fromEntries(packages.flatMap(places)),
  };
  const files = [
    // A global declaration, which the sources of several packages are written against.
    join(WORKSPACE, "packages/protocol/src/webassembly.d.ts"),
    ...packages.flatMap(entries),
  ];
  const text = { extends: join(WORKSPACE, "tsconfig.json"), compilerOptions: options, include: [], files };
  writeFileSync(configuration, JSON.stringify(text));
  execFileSync(join(WORKSPACE, "node_modules/.bin/tsc"), ["-p", configuration], { stdio: "inherit" });
}

/** Copies what was compiled of a library to `directory`, and returns the paths of its threads' modules below that. */
export function copyCompiled({ folder }: PublicPackage, directory: string): readonly string[] {
  const from = join(EMITTED, folder, "src");
  const threads = new Set<string>();
  cpSync(from, directory, { recursive: true });
  for (const file of globSync("**/*.{js,d.ts}", { cwd: directory })) {
    const path = join(directory, file);
    const text = withCompiledNames(readFileSync(path, "utf8"));
    for (const address of addresses(text)) threads.add(join(dirname(file), address));
    writeFileSync(path, text);
  }
  return Array.from(threads).sort();
}

/** What a package exports, in the workspace too -> its source. */
function places({ directory, manifest: { name, exports = {} } }: PublicPackage): [string, string[]][] {
  return Object.entries(exports).map(([key, path]) => [join(name, key), [join(directory, path)]]);
}

/** The sources of a package that something other than an import refers to. */
function entries({ directory, exports }: PublicPackage): readonly string[] {
  const found = new Set(Array.from(exports.values(), (path) => join(directory, path)));
  const sources = globSync("src/**/*.ts", { cwd: directory, exclude: ["**/testing/**", "**/*.test.ts"] });
  for (const source of sources) {
    const path = join(directory, source);
    for (const address of addresses(readFileSync(path, "utf8"))) found.add(resolve(dirname(path), address));
  }
  return Array.from(found);
}
