// Builds the command line as JavaScript: `dist/peregrine.js`, `dist/source-agent.js`, `dist/dest-agent.js`, and a file for
// each thread. A process then reads a few files where it would read hundreds, which is most of what its start costs.
// Packages of the workspace are taken in; others stay what is imported from `node_modules`.

import { existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, isAbsolute, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { type Plugin, rolldown } from "rolldown";
import { buildPage } from "@peregrine/dashboard/build";
import { BUILT } from "./built.ts";
import manifest from "./package.json" with { type: "json" };
import { checkedOutCommit, parseCommit } from "./src/commit.ts";

const PACKAGE = fileURLToPath(new URL(".", import.meta.url));
const PROGRAMS = ["peregrine", "source-agent", "dest-agent"];

/** A module that is started as a thread, or imported by its address: `new URL("NAME.ts", import.meta.url)`. */
const ADDRESS = /new URL\("(?:\.\/)?([\w-]+)\.ts", import\.meta\.url\)/gu;

/** What the built files may import: the package has to declare it, whichever of the workspace's packages imports it. */
const DECLARED = new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));

/** Whether a module stays what is imported from `node_modules`. Errors: one that would not be found there. */
function isForeign(id: string): boolean {
  if (id.startsWith(".") || isAbsolute(id) || id.startsWith("@peregrine/")) return false;
  const name = /^(?:@[^/]+\/)?[^/]+/u.exec(id)![0];
  if (!isBuiltin(id) && !DECLARED.has(name))
    throw new Error(`packages/cli/package.json does not list ${name}, which the command line imports`);
  return true;
}

/** Makes each module that is named by its address a file of its own, beside all others, which the address still finds. */
function addressedModules(): Plugin {
  const emitted = new Map<string, string>();
  return {
    name: "addressed-modules",
    transform(code, id) {
      if (!id.endsWith(".ts") || code.search(ADDRESS) < 0) return null;
      const found = code.replaceAll(ADDRESS, (_, name: string) => {
        const module = resolve(dirname(id), `${name}.ts`);
        const other = emitted.get(name);
        if (other === undefined) {
          emitted.set(name, module);
          this.emitFile({ type: "chunk", id: module, fileName: `${name}.js`, preserveSignature: "strict" });
        } else if (other !== module) {
          throw new Error(
            `two modules are named ${name}.ts and found by their addresses: ${other}, ${module}`,
          );
        }
        return `new URL("${name}.js", import.meta.url)`;
      });
      return { code: found, map: null };
    },
  };
}

/** What `--version` tells: the commit of this working tree, or of PEREGRINE_COMMIT where there is none, as in an image's build. */
function builtFrom(): string {
  return parseCommit(process.env["PEREGRINE_COMMIT"]) ?? checkedOutCommit(PACKAGE, "packages/cli/") ?? "";
}

/** Builds into `directory`, which is replaced as a whole, or left alone where nothing has changed. Errors: those of the bundler. */
export async function build(directory: string = BUILT): Promise<void> {
  const made = `${directory}.${process.pid}`;
  const bundle = await rolldown({
    // Paths in what is built are relative to it: from wherever it is built, the same comes out.
    cwd: PACKAGE,
    input: Object.fromEntries(PROGRAMS.map((name) => [name, join(PACKAGE, "src", "bin", `${name}.mjs`)])),
    platform: "node",
    external: isForeign,
    // No module does anything by being imported, so a command reads those that it uses and not their whole packages.
    treeshake: { moduleSideEffects: false },
    transform: { define: { PEREGRINE_COMMIT: JSON.stringify(builtFrom()) } },
    plugins: [addressedModules()],
  });
  try {
    mkdirSync(made, { recursive: true });
    await bundle.write({ dir: made, format: "esm", chunkFileNames: "[name]-[hash].js" });
    await buildPage(join(made, "dashboard-page.json"));
    if (isSame(made, directory)) return;
    rmSync(directory, { recursive: true, force: true });
    renameSync(made, directory);
  } finally {
    await bundle.close();
    rmSync(made, { recursive: true, force: true });
  }
}

/** Whether both hold the same files. Processes that run from what is there read more of its files later, so it stays then. */
function isSame(made: string, directory: string): boolean {
  if (!existsSync(directory)) return false;
  const files = readdirSync(made);
  return (
    files.length === readdirSync(directory).length &&
    files.every((file) => {
      const there = join(directory, file);
      return existsSync(there) && readFileSync(there).equals(readFileSync(join(made, file)));
    })
  );
}

/** For a test run, before its tests: they start what is built here, so it is that of the sources as they are. */
export default async function setup(): Promise<void> {
  await build();
}

if (import.meta.main) await build();
