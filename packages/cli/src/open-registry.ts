import { getuid } from "node:process";
import { Registry } from "./registry.ts";
import { openRuntimeDirectory, runtimeDirectoryPath } from "./runtime-directory.ts";

/** The agents of the user that runs this process. Errors: BAD_PARAMETER. */
export async function openRegistry(): Promise<Registry> {
  const userId = getuid!();
  return new Registry(await openRuntimeDirectory(runtimeDirectoryPath(process.env, userId), userId));
}
