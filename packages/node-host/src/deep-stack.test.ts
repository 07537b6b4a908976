import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GuestThreadData, WasmMachine, type WasmMachineHost } from "@peregrine/machine-wasm";
import { PAGE_SIZE } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { afterAll, describe, expect, it, vi } from "vitest";
import { createGuest, fieldsOf, quietHost } from "../test/guests.ts";

const directory = mkdtempSync(join(tmpdir(), "peregrine-deep-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Its frames take more than half of 2 MiB: the original fits, its resume copies do not. */
const DEEP = ["--depth", "9000", "--rounds", "1", "--work", "10000000"];

function recordingHost(path: string, stacks: number[]): { host: WasmMachineHost; output: number } {
  const output = openSync(path, "w");
  const host = quietHost({ output });
  const startThread = (
    data: GuestThreadData,
    stackMib: number,
  ): ReturnType<WasmMachineHost["startThread"]> => {
    stacks.push(stackMib);
    return host.startThread(data, stackMib);
  };
  return { host: { ...host, startThread }, output };
}

async function undisturbed(): Promise<string> {
  const { host, output } = recordingHost(join(directory, "undisturbed"), []);
  const guest = await createGuest("recursion", DEEP, { host, stackMib: 64 });
  await guest.start();
  expect(await guest.exited).toEqual({ kind: "exit", status: 0 });
  await guest.dispose();
  closeSync(output);
  return readFileSync(join(directory, "undisturbed"), "utf8");
}

/** Waits until the guest has come to its deepest call. */
const atBottom = (path: string): Promise<void> =>
  vi.waitFor(() => expect(readFileSync(path, "utf8")).toMatch(/part 1 of/), { interval: 5, timeout: 5000 });

describe("a call stack that does not fit when it is resumed", () => {
  it("goes on on a larger stack when the dirty log is switched on, and does the same", async () => {
    const stacks: number[] = [];
    const path = join(directory, "switched");
    const { host, output } = recordingHost(path, stacks);
    const guest = await createGuest("recursion", DEEP, { host, stackMib: 2 });
    await guest.start();
    await atBottom(path);
    await guest.startDirtyLog();
    expect(await guest.exited).toEqual({ kind: "exit", status: 0 });
    await guest.dispose();
    closeSync(output);
    expect(readFileSync(path, "utf8")).toBe(await undisturbed());
    expect(stacks[0]).toBe(2);
    expect(stacks.length).toBeGreaterThan(1);
  });

  it("goes on on a larger stack where it arrives; the source's stack is the least it gets there", async () => {
    const stacks: number[] = [];
    const path = join(directory, "moved");
    const { host, output } = recordingHost(path, []);
    const source = await createGuest("recursion", DEEP, { host, stackMib: 2 });
    await source.start();
    await atBottom(path);
    await source.stop();
    const there = recordingHost(join(directory, "arrived"), stacks);
    const destination = WasmMachine.incoming(there.host);
    for (const phase of ["early", "late"] as const) {
      for (const saved of await source.devices.saveAll(phase)) {
        await destination.devices.load(saved.name, saved.instance, fieldsOf(source, saved));
        if (saved.name !== "wasm-module") continue;
        const ram = await openMachineRam(source);
        const bytes = new Uint8Array(ram.usedBytes(0));
        ram.readPages(0, 0, bytes.length / PAGE_SIZE, bytes, 0);
        (await openMachineRam(destination)).writePages(0, 0, bytes);
      }
    }
    await source.dispose();
    await destination.start();
    expect(await destination.exited).toEqual({ kind: "exit", status: 0 });
    await destination.dispose();
    closeSync(output);
    closeSync(there.output);
    const output2 = readFileSync(join(directory, "arrived"), "utf8");
    expect(readFileSync(path, "utf8") + output2).toBe(await undisturbed());
    expect(stacks[0]).toBe(2);
    expect(stacks.length).toBeGreaterThan(1);
  });
});
