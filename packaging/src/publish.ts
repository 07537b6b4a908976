import { readFileSync } from "node:fs";
import { join } from "node:path";
import { packed } from "./pack.ts";
import type { Packed } from "./pack.ts";
import { output, run } from "./run.ts";
import type { Manifest } from "./workspace.ts";
import { WORKSPACE } from "./workspace.ts";

/** What {@link publish} has done with a package. */
export interface Published {
  readonly name: string;
  readonly outcome: "published" | "was there already";
}

/**
 * Publishes tarballs, each after those that it depends on. Those whose version the registry has are left out, so that a
 * release that was broken off can be done again. npm wants to say where a package comes from (its provenance), which only a
 * workflow with `id-token: write` can: elsewhere it refuses.
 * @param flags for npm: the registry for example.
 * Errors: npm's, in its words; what was published before stays so.
 */
export async function publish(
  packages: readonly Packed[],
  flags: readonly string[] = [],
): Promise<readonly Published[]> {
  const done: Published[] = [];
  for (const { source, tarball } of inOrder(packages)) {
    const { name } = source.manifest;
    if (await isThere(`${name}@${source.version}`, flags)) {
      done.push({ name, outcome: "was there already" });
      continue;
    }
    // Who asks for no version gets none that is not finished.
    const tag = source.version.includes("-") ? ["--tag", "next"] : [];
    await output("npm", ["publish", tarball, ...tag, ...flags], WORKSPACE);
    done.push({ name, outcome: "published" });
  }
  return done;
}

/** Each package after its dependencies. */
export function inOrder(packages: readonly Packed[]): readonly Packed[] {
  const order = new Set<Packed>();
  const add = (one: Packed): void => {
    const manifest = JSON.parse(readFileSync(join(one.directory, "package.json"), "utf8")) as Manifest;
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      const other = packages.find(({ source }) => source.manifest.name === name);
      if (other !== undefined && !order.has(other)) add(other);
    }
    order.add(one);
  };
  for (const one of packages) add(one);
  return Array.from(order);
}

/** Errors: the registry cannot be asked. */
async function isThere(version: string, flags: readonly string[]): Promise<boolean> {
  const { status, stdout, stderr } = await run("npm", ["view", version, "version", ...flags], WORKSPACE);
  if (status === 0) return stdout.trim() !== "";
  if (stderr.includes("E404")) return false;
  throw new Error(`npm cannot tell whether ${version} is published: ${stderr}`);
}

if (import.meta.main) {
  for (const { name, outcome } of await publish(packed(), process.argv.slice(2)))
    console.log(`${name}: ${outcome}`);
}
