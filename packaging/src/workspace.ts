import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const WORKSPACE = fileURLToPath(new URL("../..", import.meta.url));

/** Where everything that is made here goes; git ignores it. */
export const BUILD = join(WORKSPACE, "build");

/** Names of packages -> ranges of versions. */
export type Dependencies = Readonly<Record<string, string>>;

/** The parts of a `package.json` of this workspace that are read here. */
export interface Manifest {
  readonly name: string;
  readonly version?: string;
  readonly private?: boolean;
  readonly description?: string;
  readonly keywords?: readonly string[];
  readonly license?: string;
  readonly bin?: Readonly<Record<string, string>>;
  /** Paths below the package, of TypeScript sources. */
  readonly exports?: Readonly<Record<string, string>>;
  /** Keys of `exports` that only this workspace has; with `/*` at its end one stands for all below. */
  readonly workspaceExports?: readonly string[];
  readonly dependencies?: Dependencies;
  readonly optionalDependencies?: Dependencies;
  readonly peerDependencies?: Dependencies;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>;
}

/** A package of the workspace that is published. */
export interface PublicPackage {
  /** Of its folder in `packages`. */
  readonly folder: string;
  readonly directory: string;
  readonly manifest: Manifest;
  readonly version: string;
  /** What users can import: `.` or `./NAME` -> the source, below the package. */
  readonly exports: ReadonlyMap<string, string>;
  /** Has commands, and is bundled: then it has nothing to import. */
  readonly hasCommands: boolean;
}

/** The packages in `packages` that are not private, by their folders' names. Errors: one without a version. */
export function publicPackages(): readonly PublicPackage[] {
  const folders = readdirSync(join(WORKSPACE, "packages")).sort();
  return folders.flatMap((folder) => {
    const directory = join(WORKSPACE, "packages", folder);
    const manifest = readManifest(directory);
    if (manifest.private === true) return [];
    const { name, version, exports = {}, workspaceExports = [], bin } = manifest;
    if (version === undefined) throw new Error(`${name} is public and has no version`);
    const keys = Object.keys(exports);
    for (const pattern of workspaceExports) {
      if (!keys.some((key) => fits(key, pattern))) {
        throw new Error(`${name} has no export ${pattern}, which its workspaceExports names`);
      }
    }
    const shown = Object.entries(exports).filter(
      ([key]) => !workspaceExports.some((pattern) => fits(key, pattern)),
    );
    if ((bin !== undefined) !== (shown.length === 0)) {
      throw new Error(`${name} has to have either commands or exports: what has commands is bundled`);
    }
    const exported = new Map(shown);
    return [{ folder, directory, manifest, version, exports: exported, hasCommands: bin !== undefined }];
  });
}

function fits(key: string, pattern: string): boolean {
  return pattern.endsWith("/*") ? key.startsWith(pattern.slice(0, -1)) : key === pattern;
}

export function readManifest(directory: string): Manifest {
  return JSON.parse(readFileSync(join(directory, "package.json"), "utf8")) as Manifest;
}
