import { defineConfig } from "vitest/config";
import { testConfig } from "../vitest.shared.ts";

export default defineConfig(
  testConfig("e2e", {
    globalSetup: ["src/warm-up.ts"],
    // Each test runs several processes on few cores: one file at a time, so that measurements disturb each other little.
    fileParallelism: false,
    maxConcurrency: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
  }),
);
