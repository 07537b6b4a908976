// What a release's workflow asks before it publishes, and what its notes are.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { publicPackages, WORKSPACE } from "./workspace.ts";

/** The part of a CHANGELOG.md about one version, without its heading. Empty when there is none. */
export function notesOf(changelog: string, version: string): string {
  const parts = changelog.split(/^## /mu);
  const part = parts.find((text) => text.split("\n", 1)[0]!.trim() === version);
  return part === undefined ? "" : part.slice(part.indexOf("\n")).trim();
}

/** What is against publishing the packages of `versions` with `tag` now. `pending`: changesets that no release has yet. */
export function objections(
  tag: string | undefined,
  versions: readonly string[],
  pending: readonly string[],
): readonly string[] {
  const different = versions.filter((version) => `v${version}` !== tag);
  return [
    ...(different.length === 0
      ? []
      : [`the tag is ${tag ?? "missing"}, and packages have the version ${different[0]}`]),
    ...(pending.length === 0
      ? []
      : [`${pending.join(", ")} would be left out: run "pnpm changeset version", and commit`]),
  ];
}

function main([task, tag]: readonly string[]): void {
  const packages = publicPackages();
  if (task === "check") {
    const pending = readdirSync(join(WORKSPACE, ".changeset")).filter(
      (name) => name.endsWith(".md") && name !== "README.md",
    );
    const versions = packages.map(({ version }) => version);
    const found = objections(tag, versions, pending);
    for (const objection of found) console.error(`This cannot be released: ${objection}`);
    if (found.length > 0) process.exitCode = 1;
    else console.log(`${packages.length} packages can be released as ${versions[0]}`);
  } else if (task === "notes") {
    const seen = new Set<string>();
    for (const { directory, version } of packages) {
      const notes = notesOf(readFileSync(join(directory, "CHANGELOG.md"), "utf8"), version);
      // Most packages have the same lines, as they are released together.
      for (const line of notes.split(/\n(?=- |\n|#)/u)) {
        if (line.startsWith("- ") && !line.startsWith("- Updated dependencies") && !seen.has(line)) {
          seen.add(line);
          console.log(line);
        }
      }
    }
  } else {
    console.error("usage: release check TAG | release notes");
    process.exitCode = 2;
  }
}

if (import.meta.main) main(process.argv.slice(2));
