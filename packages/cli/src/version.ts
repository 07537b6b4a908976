import { fileURLToPath } from "node:url";
import type { MonitorVersion } from "@peregrine/monitor";
import manifest from "../package.json" with { type: "json" };
import { checkedOutCommit } from "./commit.ts";

/** Defined by `build.ts`: the commit, or nothing where it was not known. Sources that are run as they are have none. */
declare const PEREGRINE_COMMIT: string | undefined;

const BUILT_FROM = typeof PEREGRINE_COMMIT === "string" ? PEREGRINE_COMMIT : undefined;

/** Of the package: a semantic version. */
export const VERSION = manifest.version;

/**
 * The version with its commit: `0.1.0 (a376547)`, `0.1.0 (a376547-dirty)` with changes that were not committed, or
 * `0.1.0 (commit unknown)`. Asks git if the sources are run from a working tree, which takes some milliseconds.
 */
export function describeVersion(): string {
  const commit =
    BUILT_FROM ?? checkedOutCommit(fileURLToPath(new URL("..", import.meta.url)), "packages/cli/");
  return `${VERSION} (${commit === undefined || commit === "" ? "commit unknown" : commit})`;
}

/**
 * The monitor behaves as that of QEMU 2.0; what later releases added is found with `query-commands`. The package is
 * `peregrine 0.1.0+a376547`, as semantic versions have it, where the commit was put in when it was built.
 */
export const MONITOR_VERSION: MonitorVersion = {
  qemu: { major: 2, minor: 0, micro: 0 },
  package: `peregrine ${VERSION}${BUILT_FROM === undefined || BUILT_FROM === "" ? "" : `+${BUILT_FROM.replace("-", ".")}`}`,
};
