import { MigrationError } from "@peregrine/protocol";
import { openByteSource, openStreamFiles } from "@peregrine/stream-inspector";
import type { ByteSource, StreamFiles } from "@peregrine/stream-inspector";
import { existsSync } from "node:fs";
import { openHeldGuest } from "./held-guest.ts";

/**
 * Opens what the command line names: files, `-` for the standard input, or a virtual machine that is held here.
 * Errors: NO_SUCH_FILE, NOT_A_STREAM, BAD_PARAMETER; those of the guest's agent.
 */
export async function openInputs(paths: readonly string[]): Promise<StreamFiles> {
  if (paths.filter((path) => path === "-").length > 1) {
    throw new MigrationError("BAD_PARAMETER", "The standard input can be read once; name files for the rest");
  }
  return openStreamFiles(paths, openInput);
}

/** A word without a slash that is no file is the name of a guest. */
async function openInput(path: string): Promise<ByteSource> {
  if (path === "-" || path.includes("/") || existsSync(path)) return openByteSource(path);
  try {
    return await openHeldGuest(path);
  } catch (cause) {
    const error = MigrationError.from(cause);
    if (error.code !== "NO_SUCH_GUEST" && error.code !== "BAD_PARAMETER") throw error;
    throw new MigrationError(
      "NO_SUCH_FILE",
      `There is no file '${path}' here and no guest of that name; name a file, a guest, or - for the standard input`,
      { cause },
    );
  }
}
