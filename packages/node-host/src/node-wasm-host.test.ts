import { mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CONTROL, type GuestReport, WasmMachine } from "@peregrine/machine-wasm";
import { type Machine, PAGE_SIZE } from "@peregrine/shared-state";
import { machineCompliance, openMachineRam } from "@peregrine/shared-state/testing";
import * as vitest from "vitest";
import { nodeWasmHost } from "./node-wasm-host.ts";

const { afterAll, describe, expect, it } = vitest;

const guest = (name: string): Uint8Array =>
  readFileSync(new URL(`../../../examples/guests/${name}.wasm`, import.meta.url));

const directory = mkdtempSync(join(tmpdir(), "peregrine-host-"));
const nowhere = openSync("/dev/null", "w");
afterAll(() => rmSync(directory, { recursive: true }));

const host = (): ReturnType<typeof nodeWasmHost> =>
  nodeWasmHost({ stdin: undefined, outputs: { 1: nowhere, 2: nowhere }, cacheDirectory: directory });

/** Has a thread wait for a guest with that stack. */
const awaitingHost = (awaitedStackMib: number): ReturnType<typeof nodeWasmHost> =>
  nodeWasmHost({
    stdin: undefined,
    outputs: { 1: nowhere, 2: nowhere },
    cacheDirectory: directory,
    awaitedStackMib,
  });

const STACK_MIB = 16;

const create = (name: string, args: readonly string[]): Promise<WasmMachine> =>
  WasmMachine.create(host(), {
    name,
    module: guest(name),
    stackMib: STACK_MIB,
    wasi: { args: [name, ...args], env: [], preopens: [] },
  });

/** A guest that increments one byte in each of its 512 pages for ever, and ends with status 3 when it finds more than one edge. */
const HOT_PAGES = 512;
const torture = (): Promise<WasmMachine> =>
  create("torture", ["--mib", "2", "--rate", "0", "--sweeps", "1000000000", "--every", "100000000"]);

/** Waits until nine in ten of the hot pages look different. */
async function progress(machine: Machine): Promise<void> {
  const ram = await openMachineRam(machine);
  const read = (): Uint8Array => {
    const copy = new Uint8Array(ram.usedBytes(0));
    ram.readPages(0, 0, copy.length / PAGE_SIZE, copy, 0);
    return copy;
  };
  const before = read();
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    const now = read();
    let changed = 0;
    for (let at = 0; at < now.length; at += PAGE_SIZE)
      if (Buffer.compare(before.subarray(at, at + PAGE_SIZE), now.subarray(at, at + PAGE_SIZE)) !== 0)
        changed++;
    if (changed > HOT_PAGES * 0.9) return;
  }
}

machineCompliance(
  "a WebAssembly program",
  {
    source: torture,
    destination: () => WasmMachine.incoming(awaitingHost(STACK_MIB)),
    progress,
    timed: ["wasi", "wasi-setup"],
  },
  vitest,
);

describe("a WebAssembly program", () => {
  it("ends with its own exit status", async () => {
    const machine = await create("torture", ["--mib", "x"]);
    await machine.start();
    expect(await machine.exited).toEqual({ kind: "exit", status: 2 });
    await machine.dispose();
  });

  it("cannot be captured any more once it has ended", async () => {
    const machine = await create("torture", ["--mib", "x"]);
    await machine.start();
    await machine.exited;
    await machine.stop();
    await expect(machine.devices.saveAll("late")).rejects.toMatchObject({ code: "DEVICE_STATE" });
    await machine.dispose();
  });

  it("is refused when it is no module, with the engine's reason", async () => {
    const fresh = { name: "x", stackMib: 16, wasi: { args: ["x"], env: [], preopens: [] } };
    const module = new TextEncoder().encode("#!/bin/sh\n");
    await expect(WasmMachine.create(host(), { ...fresh, module })).rejects.toMatchObject({
      code: "NOT_WASM",
      message: expect.stringMatching(/not a valid WebAssembly module: .*magic/) as string,
    });
  });
});

describe("a thread that waits for a guest", () => {
  it.each([STACK_MIB, STACK_MIB + 1])(
    "is used, or not, for a guest with %i MiB of stack",
    async (stackMib) => {
      const awaiting = awaitingHost(STACK_MIB);
      const program = await awaiting.prepare(guest("sleeper"));
      const memory = new WebAssembly.Memory({ initial: 64, maximum: 65_536, shared: true });
      const control = new WebAssembly.Memory({
        initial: CONTROL.initialPages,
        maximum: CONTROL.maximumPages,
        shared: true,
      });
      const thread = awaiting.startThread({ program, memory, control }, stackMib);
      const { promise: first, resolve } = Promise.withResolvers<GuestReport>();
      thread.onReport(resolve);
      expect(await first).toMatchObject({ kind: "created" });
      await thread.terminate();
    },
  );
});
