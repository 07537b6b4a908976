import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";
import type { ProgramName } from "../command-line.ts";

/**
 * Starts a program of this package. Most of the start of a short command goes into stripping the types of the
 * sources and compiling them, so the result is kept, in a directory that only this user writes to.
 */
export async function start(program: ProgramName): Promise<void> {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "peregrine", "node");
  enableCompileCache(cache);
  // Threads do not inherit it otherwise.
  process.env["NODE_COMPILE_CACHE"] ??= cache;
  const { main } = await import("../main.ts");
  await main(program);
}
