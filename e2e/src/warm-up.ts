import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { build } from "@peregrine/cli/build";
import { PEREGRINE } from "@peregrine/cli/built";

/** Builds the command line. Gives all tests one cache of rewritten programs and compiled sources, and fills it, so that no test measures a first start. */
export default async function warmUp(): Promise<() => void> {
  await build();
  const cache = mkdtempSync(join(tmpdir(), "peregrine-cache-"));
  process.env["XDG_CACHE_HOME"] = cache;
  const files = new Set(guests.map((guest) => guest.file));
  await Promise.all(
    Array.from(files, async (file) => {
      const child = spawn(process.execPath, [PEREGRINE, "run", pathOf(file), "--", "--no-such-option"], {
        stdio: ["ignore", "ignore", "ignore"],
        env: { ...process.env, PEREGRINE_RUNTIME_DIR: join(cache, "runtime") },
      });
      await once(child, "close");
    }),
  );
  return () => rmSync(cache, { recursive: true, force: true });
}
