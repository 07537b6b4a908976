/**
 * Runs one program once, in a process of its own as an agent does, and prints how it went as JSON. The guest is run by
 * the machine that the agent has, in its worker and with its host calls.
 *
 *     node guest-run.ts PROGRAM MODE CACHE [AFTER_MS]
 */
import { mkdtempSync, openSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { FixedMachine, type Preopen, WasmMachine } from "@peregrine/machine-wasm";
import { nodeFixedHost, nodeWasmHost } from "@peregrine/node-host";
import type { GuestExit, Machine } from "@peregrine/shared-state";
import { type GuestProgram, moduleOf, programNamed } from "./guest-programs.ts";

/**
 * original: the module as it is. plain: rewritten, not migrating. tracked: with its dirty log on, from its beginning.
 * arrived: as plain, but stopped and continued once, so that the frames it had then run in their resume copies, as at a destination.
 */
export type GuestMode = "original" | "plain" | "tracked" | "arrived";

export interface GuestTimes {
  /** Processor time of this process, which the guest's thread has nearly all of: from the start to the end, or for arrived to the stop. */
  readonly ms: number;
  /** From the moment at which it was continued to the end. */
  readonly continuedMs?: number;
}

const STACK_MIB = 64;
const nowhere = openSync("/dev/null", "w");
const outputs = { 1: nowhere, 2: nowhere };

async function machineFor(
  program: GuestProgram,
  mode: GuestMode,
  preopens: readonly Preopen[],
  cacheDirectory: string,
): Promise<Machine> {
  const guest = {
    name: program.name,
    module: moduleOf(program),
    stackMib: STACK_MIB,
    wasi: { args: [basename(program.file), ...program.args], env: [], preopens },
  };
  return mode === "original"
    ? FixedMachine.create(nodeFixedHost({ stdin: undefined, outputs }), guest)
    : WasmMachine.create(nodeWasmHost({ stdin: undefined, outputs, cacheDirectory }), guest);
}

function checkEnd(exit: GuestExit): void {
  if (exit.kind !== "exit" || exit.status !== 0)
    throw new Error(`the program did not end well: ${JSON.stringify(exit)}`);
}

function processorMs(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

async function run(machine: Machine, mode: GuestMode, afterMs: number): Promise<GuestTimes> {
  if (mode === "tracked") await machine.startDirtyLog();
  const started = process.cpuUsage();
  await machine.start();
  if (mode === "arrived") {
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await machine.stop();
  }
  const ms = (): number => processorMs(started);
  if (mode !== "arrived") {
    checkEnd(await machine.exited);
    return { ms: ms() };
  }
  const before = ms();
  const continued = process.cpuUsage();
  await machine.start();
  checkEnd(await machine.exited);
  return { ms: before, continuedMs: processorMs(continued) };
}

const [name = "", mode = "", cache = "", after = "0"] = process.argv.slice(2);
const program = programNamed(name);
const empty = mkdtempSync(join(tmpdir(), "peregrine-guest-"));
try {
  const preopens = program.directories.map(({ guest, source }) => ({
    guestPath: guest,
    hostPath: source ?? empty,
  }));
  const machine = await machineFor(program, mode as GuestMode, preopens, cache);
  console.log(JSON.stringify(await run(machine, mode as GuestMode, Number(after))));
  await machine.dispose();
} finally {
  rmSync(empty, { recursive: true });
}
process.exit();
