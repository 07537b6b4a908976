import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Packed } from "./pack.ts";
import { packAll } from "./pack.ts";
import { examplesOf } from "./readme.ts";
import { output } from "./run.ts";
import { readManifest, WORKSPACE } from "./workspace.ts";

/** The variable that names the folder where everything is, to the tests. */
const PLACE = "PEREGRINE_PACKAGES_PLACE";

/** What the person has who uses the packages, besides them. */
const TOOLS = ["@types/node", "vitest"];

/** Dependencies come from npm's cache if they are there. Nobody's scripts are needed. */
const NPM = [
  "install",
  "--no-audit",
  "--no-fund",
  "--prefer-offline",
  "--ignore-scripts",
  "--loglevel=error",
];

const COMPILER_OPTIONS = {
  target: "es2024",
  module: "nodenext",
  strict: true,
  noEmit: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  skipLibCheck: false,
  allowImportingTsExtensions: true,
  types: ["node"],
};

/** A folder that has all packages in its node_modules, and the examples of their READMEs. */
export function consumer(): string {
  return join(place(), "consumer");
}

/** What `npm install -g` has put the command line in, and nothing else. */
export function globalPrefix(): string {
  return join(place(), "global");
}

/** Name of the file of an example in {@link consumer}. */
export function exampleFile(folder: string, index: number, kind: "program" | "test"): string {
  return `${folder}-${index}${kind === "test" ? ".test" : ""}.ts`;
}

/** For a test run, before its tests: packs everything and installs it, outside of the workspace. */
export default async function setup(): Promise<() => void> {
  const directory = realpathSync(mkdtempSync(join(tmpdir(), "peregrine-packages-")));
  process.env[PLACE] = directory;
  process.env["XDG_CACHE_HOME"] = join(directory, "cache");
  try {
    const packages = await packAll();
    await Promise.all([installAll(packages), installCommands(packages)]);
  } catch (error) {
    rmSync(directory, { recursive: true, force: true });
    throw error;
  }
  return () => rmSync(directory, { recursive: true, force: true });
}

async function installAll(packages: readonly Packed[]): Promise<void> {
  const directory = consumer();
  mkdirSync(directory);
  writeFileSync(join(directory, "package.json"), '{"private":true,"type":"module"}\n');
  writeFileSync(
    join(directory, "tsconfig.json"),
    JSON.stringify({ compilerOptions: COMPILER_OPTIONS, include: ["*.ts"] }),
  );
  for (const { source } of packages) {
    for (const [index, { kind, text }] of examplesOf(source.directory).entries()) {
      if (kind !== "commands") writeFileSync(join(directory, exampleFile(source.folder, index, kind)), text);
    }
  }
  writeFileSync(join(directory, "everything.ts"), everything(packages));
  const tools = TOOLS.map((name) => {
    const { version } = readManifest(join(WORKSPACE, "node_modules", name));
    return `${name}@${version}`;
  });
  await output("npm", [...NPM, ...packages.map(({ tarball }) => tarball), ...tools], directory);
}

/** A module that has the types of every export. */
function everything(packages: readonly Packed[]): string {
  const modules = packages.flatMap(({ source: { manifest, exports } }) =>
    Array.from(exports.keys(), (key) => join(manifest.name, key)),
  );
  return modules.map((name, index) => `export * as module${index} from ${JSON.stringify(name)};\n`).join("");
}

async function installCommands(packages: readonly Packed[]): Promise<void> {
  const prefix = globalPrefix();
  const tarballs = packages.filter(({ source }) => source.hasCommands).map(({ tarball }) => tarball);
  await output("npm", [...NPM, "--global", "--prefix", prefix, ...tarballs], dirname(prefix));
}

function place(): string {
  const directory = process.env[PLACE];
  if (directory === undefined) throw new Error("nothing was installed; see the global setup");
  return directory;
}
