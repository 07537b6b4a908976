import { execFileSync } from "node:child_process";
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { build } from "@peregrine/cli/build";
import { manual } from "@peregrine/cli/manual";
import { compile, copyCompiled } from "./compile.ts";
import type { Release } from "./published-manifest.ts";
import { commandManifest, libraryManifest } from "./published-manifest.ts";
import type { PublicPackage } from "./workspace.ts";
import { BUILD, publicPackages, WORKSPACE } from "./workspace.ts";

const STAGED = join(BUILD, "packages");
export const TARBALLS = join(BUILD, "tarballs");

/** A package as it is published. */
export interface Packed {
  readonly source: PublicPackage;
  /** Where what is in it lies. */
  readonly directory: string;
  readonly tarball: string;
}

/**
 * Makes all packages that are published: `build/packages/FOLDER`, and tarballs of them in `build/tarballs`. What is there is
 * replaced. Errors: of the compiler, the bundler, npm; a dependency that is not declared.
 */
export async function packAll(): Promise<readonly Packed[]> {
  const packages = publicPackages();
  const release: Release = { packages, repository: repository(), commit: git("rev-parse", "HEAD") };
  compile(packages.filter(({ hasCommands }) => !hasCommands));
  for (const directory of [STAGED, TARBALLS]) rmSync(directory, { recursive: true, force: true });
  for (const source of packages) await stage(source, release);
  mkdirSync(TARBALLS, { recursive: true });
  const folders = packages.map(({ folder }) => join(STAGED, folder));
  const quiet = ["--silent", "--ignore-scripts", "--offline"];
  execFileSync("npm", ["pack", ...quiet, "--pack-destination", TARBALLS, ...folders], {
    stdio: ["ignore", "ignore", "inherit"],
  });
  return packages.map(packedOf);
}

/** What {@link packAll} has made. Errors: it is not there. */
export function packed(): readonly Packed[] {
  const all = publicPackages().map(packedOf);
  for (const { tarball } of all) if (!existsSync(tarball)) throw new Error(`${tarball} is not there`);
  return all;
}

function packedOf(source: PublicPackage): Packed {
  const file = `${source.manifest.name.replace("@", "").replace("/", "-")}-${source.version}.tgz`;
  return { source, directory: join(STAGED, source.folder), tarball: join(TARBALLS, file) };
}

async function stage(source: PublicPackage, release: Release): Promise<void> {
  const directory = join(STAGED, source.folder);
  const dist = join(directory, "dist");
  mkdirSync(directory, { recursive: true });
  let manifest: object;
  if (source.hasCommands) {
    await build(dist);
    cpSync(join(source.directory, "bin"), join(directory, "bin"), { recursive: true });
    const pages = manual();
    mkdirSync(join(directory, "man"));
    for (const { file, text } of pages) writeFileSync(join(directory, "man", file), text);
    manifest = commandManifest(
      source,
      release,
      pages.map(({ file }) => file),
    );
  } else {
    const threads = copyCompiled(source, dist);
    manifest = libraryManifest(source, release, { threads, declarations: textsOf(dist, "**/*.d.ts") });
  }
  writeFileSync(join(directory, "package.json"), `${JSON.stringify(manifest, undefined, 2)}\n`);
  cpSync(join(WORKSPACE, "LICENSE"), join(directory, "LICENSE"));
  for (const name of ["README.md", "CHANGELOG.md"]) {
    const path = join(source.directory, name);
    if (existsSync(path)) cpSync(path, join(directory, name));
    else if (name === "README.md")
      throw new Error(`${source.manifest.name} is published, and needs a README.md`);
  }
}

function textsOf(directory: string, pattern: string): readonly string[] {
  return globSync(pattern, { cwd: directory }).map((file) => readFileSync(join(directory, file), "utf8"));
}

/** Where the sources are: GitHub says so to its workflows, elsewhere it is where this was cloned from. */
function repository(): string | undefined {
  const { GITHUB_SERVER_URL: server, GITHUB_REPOSITORY: name } = process.env;
  if (server !== undefined && name !== undefined) return `${server}/${name}`;
  const origin = git("remote", "get-url", "origin")?.replace(/^git@([^:]+):/u, "https://$1/");
  return origin?.startsWith("https://") === true ? origin.replace(/\.git$/u, "") : undefined;
}

function git(...args: readonly string[]): string | undefined {
  try {
    return execFileSync("git", args, {
      cwd: WORKSPACE,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return undefined;
  }
}
