import { setTimeout as delay } from "node:timers/promises";
import { machineCompliance } from "@peregrine/shared-state/testing";
import * as vitest from "vitest";
import { ClockMachine } from "./clock-machine.ts";

machineCompliance(
  "the clock",
  {
    source: () => new ClockMachine(),
    destination: () => new ClockMachine(),
    async progress(machine) {
      const clock = machine as ClockMachine;
      const before = clock.ticks;
      while (clock.ticks < before + 30) await delay(1);
    },
    check: (machine) => {
      (machine as ClockMachine).verify();
    },
  },
  vitest,
);
