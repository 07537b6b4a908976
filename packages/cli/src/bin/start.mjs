import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

/**
 * Starts a program of this package. Most of the start of a short command goes into stripping the types of the
 * sources and compiling them, so the result is kept, in a directory that only this user writes to. This file is
 * JavaScript, so that with a full cache what strips types is not even loaded.
 *
 * @param {import("../command-line.ts").ProgramName} program
 */
export async function start(program) {
  const cache = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "peregrine", "node");
  enableCompileCache(cache);
  // Threads do not inherit it otherwise.
  process.env["NODE_COMPILE_CACHE"] ??= cache;
  const { main } = await import("../main.ts");
  await main(program);
}
