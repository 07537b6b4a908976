import { defineConfig } from "vitest/config";
import { testConfig } from "../vitest.shared.ts";

/** They measure times and speeds, or keep all processors busy by themselves: nothing else is to run meanwhile. */
const ALONE = [
  "src/auto-converge.test.ts",
  "src/hot-guest.test.ts",
  "src/live.test.ts",
  "src/moved-guests.test.ts",
  "src/rate-limit.test.ts",
  "src/qemu/announce.test.ts",
];

export default defineConfig(
  testConfig("e2e", {
    globalSetup: ["src/warm-up.ts"],
    // Each project adds its own.
    include: [],
    maxConcurrency: 2,
    testTimeout: 120_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        // The processes of a test wait for one another now and then, so two tests go well on two processors.
        test: {
          name: "side by side",
          include: ["src/**/*.test.ts", "faults/**/*.test.ts"],
          exclude: ALONE,
          maxWorkers: 2,
          sequence: { groupOrder: 0 },
        },
      },
      {
        extends: true,
        test: { name: "alone", include: ALONE, fileParallelism: false, sequence: { groupOrder: 1 } },
      },
    ],
  }),
);
