import { globalStateDevice, RunControl } from "@peregrine/shared-state";
import type { GuestRam } from "@peregrine/shared-state";
import { TestMachine } from "@peregrine/shared-state/testing";
import type { TestMachineOptions } from "@peregrine/shared-state/testing";

export interface Guest {
  readonly machine: TestMachine;
  readonly run: RunControl;
}

export const SMALL: TestMachineOptions = {
  blocks: [
    { name: "test.ram", pages: 8, used: 4 },
    { name: "test.rom", pages: 1, used: 1 },
  ],
  hotPages: 2,
};

/** A guest that has run for a while and was stopped for its migration. */
export async function stoppedSource(options: TestMachineOptions = {}, paused = false): Promise<Guest> {
  const machine = TestMachine.source(options);
  const run = new RunControl(machine);
  machine.devices.register(globalStateDevice(run));
  await run.cont();
  machine.tick(100);
  if (paused) await run.stop("paused");
  await run.stop("finish-migrate");
  return { machine, run };
}

export function destination(options: Pick<TestMachineOptions, "drives"> = {}): Guest {
  const machine = TestMachine.destination(options);
  const run = new RunControl(machine, { initial: "inmigrate" });
  machine.devices.register(globalStateDevice(run));
  return { machine, run };
}

/** All bytes of a block list's memory that are in use. */
export function memoryOf(ram: GuestRam): Uint8Array[] {
  return ram.blocks.map((_, block) => {
    const bytes = new Uint8Array(ram.usedBytes(block));
    ram.readPages(block, 0, bytes.length / 4096, bytes, 0);
    return bytes;
  });
}
