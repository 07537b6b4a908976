import { defineConfig } from "vitest/config";
import { testConfig } from "../../vitest.shared.ts";

// What its tests do most is wait for processes.
export default defineConfig(
  testConfig("cli", { globalSetup: ["build.ts"], testTimeout: 30_000, maxWorkers: 3 }),
);
