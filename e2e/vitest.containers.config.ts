import { defineConfig } from "vitest/config";
import { testConfig } from "../vitest.shared.ts";

export default defineConfig(
  testConfig("containers", {
    include: ["containers/**/*.test.ts"],
    // They have the base image in common.
    fileParallelism: false,
    testTimeout: 600_000,
    hookTimeout: 120_000,
  }),
);
