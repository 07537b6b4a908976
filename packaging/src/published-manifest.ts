import { packagesOf } from "./specifiers.ts";
import type { Dependencies, Manifest, PublicPackage } from "./workspace.ts";

/** What is the same for all packages of one release. */
export interface Release {
  /** Folders and manifests of all that is published. */
  readonly packages: readonly PublicPackage[];
  /** `https://...`; undefined where this is not known. */
  readonly repository: string | undefined;
  /** In full; undefined where this is not known. */
  readonly commit: string | undefined;
}

const NODE = ">=24";

/** Newer ones are not refused: their types have what ours name. */
const NODE_TYPES = ">=24";

/** The `package.json` of a library. `threads`: modules below `dist` that only their addresses name. */
export function libraryManifest(
  library: PublicPackage,
  release: Release,
  modules: { readonly threads: readonly string[]; readonly declarations: readonly string[] },
): object {
  const { manifest, exports } = library;
  const peers = peersOf(manifest, modules.declarations);
  return {
    ...head(library, release),
    exports: {
      ...Object.fromEntries(Array.from(exports, ([name, source]) => [name, exportOf(source)])),
      "./package.json": "./package.json",
    },
    files: ["dist", "CHANGELOG.md"],
    // Bundlers leave out what is not used; a thread's module is used by being started.
    sideEffects: modules.threads.map((path) => `./dist/${path}`),
    ...filled("dependencies", resolved(manifest.dependencies, release.packages)),
    ...filled("optionalDependencies", resolved(manifest.optionalDependencies, release.packages)),
    ...filled("peerDependencies", peers),
    ...filled(
      "peerDependenciesMeta",
      Object.fromEntries(Object.keys(peers).map((name) => [name, { optional: true }])),
    ),
  };
}

/** The `package.json` of what has commands: all of the workspace that it needs is in it. `pages`: of the manual, in `man`. */
export function commandManifest(commands: PublicPackage, release: Release, pages: readonly string[]): object {
  const { bin, dependencies, optionalDependencies } = commands.manifest;
  return {
    ...head(commands, release),
    bin,
    man: pages.map((file) => `./man/${file}`),
    exports: { "./package.json": "./package.json" },
    files: ["bin", "dist", "man", "CHANGELOG.md"],
    ...filled("dependencies", foreign(dependencies)),
    ...filled("optionalDependencies", foreign(optionalDependencies)),
  };
}

function head({ manifest, version, folder }: PublicPackage, { repository, commit }: Release): object {
  const { name, description, keywords, license } = manifest;
  return {
    name,
    version,
    description,
    keywords,
    license,
    ...(repository === undefined
      ? {}
      : {
          homepage: `${repository}/tree/main/packages/${folder}#readme`,
          bugs: `${repository}/issues`,
          repository: { type: "git", url: `git+${repository}.git`, directory: `packages/${folder}` },
        }),
    ...(commit === undefined ? {} : { gitHead: commit }),
    type: "module",
    engines: { node: NODE },
    publishConfig: { access: "public", provenance: true },
  };
}

/** What brings the types that declarations name; who has no TypeScript needs none of it. */
function peersOf(manifest: Manifest, declarations: readonly string[]): Dependencies {
  const named = new Set(declarations.flatMap(packagesOf));
  const node = declarations.some((text) => /"node:|\bNodeJS\.|\bBuffer\b/u.test(text));
  return {
    ...(node ? { "@types/node": NODE_TYPES } : {}),
    ...Object.fromEntries(
      Object.entries(manifest.peerDependencies ?? {}).filter(
        ([name]) => named.has(name) || named.has(name.replace("@types/", "")),
      ),
    ),
  };
}

function exportOf(source: string): object {
  const path = source.replace(/^\.\/src\//u, "./dist/").replace(/\.ts$/u, "");
  return { types: `${path}.d.ts`, default: `${path}.js` };
}

/** Nothing where there is nothing in it. */
function filled(key: string, values: object): object {
  return Object.keys(values).length === 0 ? {} : { [key]: values };
}

/** Without the packages of this workspace. */
function foreign(dependencies: Dependencies = {}): Dependencies {
  return Object.fromEntries(
    Object.entries(dependencies).filter(([, range]) => !range.startsWith("workspace:")),
  );
}

/** With the versions of this workspace's packages instead of `workspace:*`. Errors: one that is not published. */
function resolved(dependencies: Dependencies = {}, packages: readonly PublicPackage[]): Dependencies {
  return Object.fromEntries(
    Object.entries(dependencies).map(([name, range]) => {
      if (!range.startsWith("workspace:")) return [name, range];
      const other = packages.find(({ manifest }) => manifest.name === name);
      if (other === undefined) throw new Error(`${name} is not published, and something that is needs it`);
      return [name, other.version];
    }),
  );
}
