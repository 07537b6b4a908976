import { join } from "node:path";
import type { ViteUserConfig } from "vitest/config";

/** What every package's test run has in common. With PEREGRINE_RESULTS set, a JSON report for the summary goes there. */
export function testConfig(name: string, test: ViteUserConfig["test"] = {}): ViteUserConfig {
  const results = process.env["PEREGRINE_RESULTS"];
  return {
    test: {
      include: ["src/**/*.test.ts"],
      // Only to end what hangs: a busy machine is slow, and no test is about speed.
      testTimeout: 60_000,
      // No test changes what its process shares; loading the sources once for all files is a third of the time.
      isolate: false,
      // A test waits for threads and processes now and then. Turbo runs two packages at a time.
      maxWorkers: 2,
      // Each thread that a test starts would strip the types of its sources again.
      env: { NODE_COMPILE_CACHE: join(import.meta.dirname, "node_modules/.cache/sources") },
      reporters: results === undefined ? ["default"] : ["default", "json"],
      ...(results === undefined ? {} : { outputFile: { json: join(results, `${name}.json`) } }),
      ...test,
    },
  };
}
