import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { FixedMachine, type FreshGuest, WasmMachine } from "@peregrine/machine-wasm";
import { DirtyBitmap, type GuestRam, PAGE_SIZE } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { describe, expect, it } from "vitest";
import { type Guest, guests, pathOf } from "../../../examples/guests/guests.ts";
import { quietHost } from "../test/guests.ts";
import { nodeFixedHost } from "./fixed-host.ts";

/** Written by two compilers, with deep calls, large functions and busy loops. */
const PROGRAMS = ["sqlite-workload", "rust"];
/** Longest time between two stops, ms. */
const LONGEST_RUN = 8;
const PAGES_AT_ONCE = 64;

/** Runs something with the guest's directories and a file for what it prints. @returns what it printed. */
async function printed(
  { file, name, args, dirs = [] }: Guest,
  run: (guest: FreshGuest, output: number) => Promise<void>,
): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "peregrine-disturbed-"));
  const path = join(directory, "output");
  const output = openSync(path, "w");
  try {
    const preopens = dirs.map(({ guest, source }) => ({
      guestPath: guest,
      hostPath: source === null ? directory : pathOf(source),
    }));
    const wasi = { args: [name, ...args], env: [], preopens };
    await run({ name, module: readFileSync(pathOf(file)), stackMib: 16, wasi }, output);
    return readFileSync(path, "latin1");
  } finally {
    closeSync(output);
    rmSync(directory, { recursive: true });
  }
}

/** Copies the pages that are dirty, and then finds the copy to be the memory. @returns how many pages there were. */
function follow(ram: GuestRam, copy: Uint8Array, dirty: DirtyBitmap): number {
  ram.harvest([dirty]);
  const pages = dirty.count;
  for (let page = 0; ; page = dirty.runStart) {
    const count = dirty.takeRun(page, PAGES_AT_ONCE);
    if (count === 0) break;
    ram.readPages(0, dirty.runStart, count, copy, dirty.runStart * PAGE_SIZE);
  }
  const memory = ram.memory!(0);
  const same = Buffer.compare(memory, copy.subarray(0, memory.length)) === 0;
  expect(same, "the copy is the memory").toBe(true);
  return pages;
}

describe.concurrent("a guest that is stopped again and again", () => {
  it.each(PROGRAMS)(
    "prints what it prints undisturbed, and its dirty log misses nothing: %s",
    { timeout: 180_000 },
    async (program) => {
      const guest = guests.find(({ name }) => name === program)!;
      const expected = await printed(guest, async (fresh, output) => {
        const host = nodeFixedHost({ stdin: undefined, outputs: { 1: output, 2: output } });
        const machine = await FixedMachine.create(host, fresh);
        await machine.start();
        expect(await machine.exited).toEqual({ kind: "exit", status: 0 });
        await machine.dispose();
      });
      let stops = 0;
      let pages = 0;
      const actual = await printed(guest, async (fresh, output) => {
        const machine = await WasmMachine.create(quietHost({ output }), fresh);
        await machine.startDirtyLog();
        const ram = await openMachineRam(machine);
        const copy = new Uint8Array(ram.blocks[0]!.length);
        const dirty = new DirtyBitmap(copy.length / PAGE_SIZE);
        ram.readPages(0, 0, ram.usedBytes(0) / PAGE_SIZE, copy, 0);
        const pause = (): Promise<void> => delay(LONGEST_RUN * Math.random(), undefined);
        await machine.start();
        while ((await Promise.race([machine.exited, pause()])) === undefined) {
          await machine.stop();
          pages += follow(ram, copy, dirty);
          stops++;
          await machine.start();
        }
        expect(await machine.exited).toEqual({ kind: "exit", status: 0 });
        await machine.dispose();
      });
      expect(actual).toBe(expected);
      expect(stops).toBeGreaterThan(20);
      expect(pages).toBeGreaterThan(stops);
    },
  );
});
