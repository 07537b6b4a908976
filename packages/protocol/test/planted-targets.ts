import * as fc from "fast-check";
import { CallLog, requireRefusal } from "../fuzz/oracle.ts";
import type { Allocations } from "../fuzz/oracle.ts";
import type { Target } from "../fuzz/targets.ts";
import { MigrationError } from "../src/index.ts";

/** Decoders with one defect each, which one input of twenty meets. */
const DEFECTS: Record<string, (allocations: Allocations) => void> = {
  crash: () => {
    requireRefusal(new TypeError("undefined is not a page"), 0, 0);
  },
  internal: () => {
    requireRefusal(new MigrationError("INTERNAL", "a defect", { offset: 0 }), 0, 0);
  },
  offset: () => {
    requireRefusal(new MigrationError("TRUNCATED", "cut short", { offset: 7 }), 8, 9);
  },
  allocation: (allocations) => {
    allocations.reset();
    const held = new Uint8Array(1_000_000);
    allocations.requireWithin(held.length - 1, 0);
  },
  calls: () => {
    const log = new CallLog(10);
    for (;;) log.add(0, "page", "");
  },
  hang: () => {
    for (;;);
  },
  memory: () => {
    const held: object[] = [];
    for (;;) held.push({ held });
  },
};

export const TARGETS: readonly Target[] = Object.entries(DEFECTS).map(([name, run]) => ({
  name,
  share: 1,
  property: (allocations) =>
    fc.property(fc.nat(19), (input) => {
      if (input === 17) run(allocations);
    }),
}));
