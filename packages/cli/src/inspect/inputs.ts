import { MigrationError } from "@peregrine/protocol";
import { openStreamFiles } from "@peregrine/stream-inspector";
import type { StreamFiles } from "@peregrine/stream-inspector";
import { existsSync } from "node:fs";

/**
 * Opens what the command line names: files, or `-` for the standard input.
 * Errors: NO_SUCH_FILE, NOT_A_STREAM, BAD_PARAMETER.
 */
export async function openInputs(paths: readonly string[]): Promise<StreamFiles> {
  if (paths.filter((path) => path === "-").length > 1) {
    throw new MigrationError("BAD_PARAMETER", "The standard input can be read once; name files for the rest");
  }
  for (const path of paths) requireFile(path);
  return openStreamFiles(paths);
}

/** A word without a slash may be meant as the name of a guest, so it is told what is looked for. */
function requireFile(path: string): void {
  if (path === "-" || path.includes("/") || existsSync(path)) return;
  throw new MigrationError(
    "NO_SUCH_FILE",
    `There is no file '${path}' here; name the file of a stream, or - for the standard input`,
  );
}
