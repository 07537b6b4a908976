import { defineConfig } from "vitest/config";
import { testConfig } from "../vitest.shared.ts";

export default defineConfig(
  testConfig("packages", {
    globalSetup: ["src/installed.ts"],
    // What is tried is what users have: nothing that was compiled for the workspace.
    env: {},
    testTimeout: 180_000,
    // A process that has had the compiler in it takes its time to end on a busy machine.
    teardownTimeout: 60_000,
    // They wait for processes most of the time.
    maxWorkers: 2,
  }),
);
