import { defineConfig } from "vitest/config";
import { testConfig } from "../../vitest.shared.ts";

export default defineConfig(testConfig("cli", { testTimeout: 30_000 }));
