import { join, resolve } from "node:path";
import { openPrivateDirectory } from "./private-directory.ts";

/** Where the agents of this user listen, each at `<name>.sock`. */
export function runtimeDirectoryPath(environment: NodeJS.ProcessEnv, userId: number): string {
  const own = environment["PEREGRINE_RUNTIME_DIR"];
  if (own !== undefined && own !== "") return resolve(own);
  const session = environment["XDG_RUNTIME_DIR"];
  if (session !== undefined && session !== "") return join(resolve(session), "peregrine");
  return `/tmp/peregrine-${userId}`;
}

/** Makes the directory if it does not exist. Errors: BAD_PARAMETER unless it belongs to this user alone. */
export function openRuntimeDirectory(path: string, userId: number): Promise<string> {
  return openPrivateDirectory(path, {
    userId,
    what: "The runtime directory",
    instead: "set PEREGRINE_RUNTIME_DIR to a directory of your own",
  });
}
