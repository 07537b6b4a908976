import { setTimeout as delay } from "node:timers/promises";
import { expect } from "vitest";
import type { PeregrineProcess } from "../agent-process.ts";
import { type Edge, edgeIn, printedSweeps } from "./edge-guest.ts";
import {
  LOOK_MS,
  type MigrationInfo,
  type MigrationSettings,
  type VirtualMachine,
} from "./virtual-machine.ts";

/** Slower than the guest dirties its memory, bytes per second. */
const SLOW = 40 << 20;
/** Sweeps that a guest is watched for. */
const SWEEPS = 2;

/** What keeps a migration from its end, and what lets it come to it. */
const HOLD_BACK = { "max-bandwidth": SLOW, "downtime-limit": 1 };
const LET_GO = { "max-bandwidth": 0, "downtime-limit": 2000 };

/**
 * Begins a migration that is held back until {@link letGo}. Resolves when it has sent pages for the third time at
 * least, or has ended: deltas are so small that nothing holds them back for long.
 */
export async function sendSlowly(
  source: VirtualMachine,
  uri: string,
  { capabilities = [], parameters = {} }: MigrationSettings = {},
): Promise<void> {
  await source.configure({ capabilities, parameters: { ...HOLD_BACK, ...parameters } });
  await source.execute("migrate", { uri });
  await source.migration((info) => hasEnded(info) || (info.ram?.["dirty-sync-count"] ?? 0) > 3);
}

/** Lets a migration come to its end, and waits for it. */
export async function letGo(source: VirtualMachine): Promise<MigrationInfo> {
  await source.configure({ parameters: LET_GO });
  return source.migration(hasEnded);
}

/** Waits until a relay has sent on so many pages that are not zero. */
export async function untilSentOn(relay: PeregrineProcess, pages: number): Promise<void> {
  for (;;) {
    const { ram } = await relay.execute<MigrationInfo>("query-migrate");
    if ((ram?.["normal"] ?? 0) >= pages) return;
    await delay(LOOK_MS);
  }
}

/** Moves a running guest whose memory changes faster than it is sent at first. @returns how it ended. */
export async function send(
  source: VirtualMachine,
  uri: string,
  settings?: MigrationSettings,
): Promise<MigrationInfo> {
  await sendSlowly(source, uri, settings);
  return letGo(source);
}

export function hasEnded({ status }: MigrationInfo): boolean {
  return ["completed", "failed", "cancelled"].includes(status ?? "");
}

/** A migration has completed; if not, tells what the agent that took part in it said. */
export function expectCompleted(info: MigrationInfo, agent: PeregrineProcess): void {
  expect(info, agent.stderr.text).toMatchObject({ status: "completed" });
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
async function expectGoesOn(...machines: readonly VirtualMachine[]): Promise<void> {
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

/**
 * The guest of `source` is at `destination` and goes on there. If it stands still at first, its memory is that which
 * the source has left, to the byte. It ends both machines.
 */
export async function expectArrived(source: VirtualMachine, destination: VirtualMachine): Promise<void> {
  if (destination.held) {
    await destination.untilStatus("paused");
    expectSame(await source.memory(), await destination.memory());
    await destination.execute("cont");
  }
  await expectGoesOn(source, destination);
}

function expectSame(left: Buffer, arrived: Buffer): void {
  if (left.equals(arrived)) return;
  const address = left.findIndex((byte, at) => byte !== arrived[at]);
  throw new Error(`memory differs from address 0x${address.toString(16)} on`);
}
