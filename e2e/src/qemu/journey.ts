import { expect } from "vitest";
import { type Edge, edgeIn, printedSweeps } from "./edge-guest.ts";
import type { MigrationInfo, MigrationSettings, VirtualMachine } from "./virtual-machine.ts";

/** Slower than the guest dirties its memory, bytes per second. */
const SLOW = 40 << 20;
/** Sweeps that a guest is watched for. */
const SWEEPS = 2;

/** What keeps a migration from its end, and what lets it come to it. */
const HOLD_BACK = { "max-bandwidth": SLOW, "downtime-limit": 1 };
const LET_GO = { "max-bandwidth": 0, "downtime-limit": 2000 };

/** Begins a migration that does not come to its end before {@link letGo}; resolves when it has sent pages for the third time. */
export async function sendSlowly(
  source: VirtualMachine,
  uri: string,
  { capabilities = [], parameters = {} }: MigrationSettings = {},
): Promise<void> {
  await source.configure({ capabilities, parameters: { ...HOLD_BACK, ...parameters } });
  await source.execute("migrate", { uri });
  const info = await source.migration(
    ({ status, ram }) => status === "failed" || (ram?.["dirty-sync-count"] ?? 0) > 3,
  );
  expect(info).toMatchObject({ status: "active" });
}

/** Lets a migration come to its end, and waits for it. */
export async function letGo(source: VirtualMachine): Promise<MigrationInfo> {
  await source.configure({ parameters: LET_GO });
  return source.migrationEnd();
}

/** Moves a running guest whose memory changes faster than it is sent at first. Errors: when the migration fails. */
export async function send(source: VirtualMachine, uri: string, settings?: MigrationSettings): Promise<void> {
  await sendSlowly(source, uri, settings);
  expect(await letGo(source)).toMatchObject({ status: "completed" });
}

/** The guest of `destination` stands still, and its memory is that which `source` has left, to the byte. */
export async function expectSameMemory(source: VirtualMachine, destination: VirtualMachine): Promise<void> {
  await destination.untilStatus("paused");
  const [left, arrived] = await Promise.all([source.memory(), destination.memory()]);
  if (left.equals(arrived)) return;
  const address = left.findIndex((byte, at) => byte !== arrived[at]);
  throw new Error(`memory differs from address 0x${address.toString(16)} on`);
}

/** A guest runs: it goes on counting, and its memory shows one edge. */
export async function expectRunning(machine: VirtualMachine): Promise<Edge> {
  await machine.untilPrinted(machine.printedLines + SWEEPS);
  await machine.execute("stop");
  const edge = edgeIn(await machine.memory());
  await machine.execute("cont");
  return edge;
}

/**
 * The guest has come by these machines and goes on in the last one: its memory shows one edge, and the numbers that it
 * printed follow each other. It ends the machines.
 */
export async function expectGoesOn(...machines: readonly VirtualMachine[]): Promise<void> {
  const last = machines.at(-1)!;
  await last.untilPrinted(SWEEPS);
  await last.execute("stop");
  const edge = edgeIn(await last.memory());
  // Its output is complete when a process has ended.
  await Promise.all(machines.map((machine) => machine.end()));
  const printed = printedSweeps(machines.map(({ serial }) => serial.text).join(""));
  expect(printed).toEqual(printed.map((_, index) => index + 1));
  // A sweep is complete a moment before its number is.
  const unprinted = edge.sweeps - (printed.length % 256);
  expect(edge.page === 0 ? [0, 1] : [0]).toContain(unprinted);
}
