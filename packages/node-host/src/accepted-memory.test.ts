import { WasmMachine } from "@peregrine/machine-wasm";
import type { StateValue } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { wat } from "../../machine-wasm/test/wat.ts";
import { fieldsOf, quietHost } from "../test/guests.ts";

const WASM_PAGE = 65536;

/** Has two pages, and no bound of its own. Grows by one, and ends with how many it had then, or with 255. */
const MODULE = wat(`(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (func (export "_start") (call $exit (i32.and (memory.grow (i32.const 1)) (i32.const 255)))))`);

let sections: Map<string, Record<string, unknown>>;
let machine: WasmMachine;

beforeAll(async () => {
  const wasi = { args: ["x"], env: [], preopens: [] };
  const source = await WasmMachine.create(quietHost(), { name: "x", module: MODULE, stackMib: 3, wasi });
  await source.stop();
  const saved = [...(await source.devices.saveAll("early")), ...(await source.devices.saveAll("late"))];
  sections = new Map(
    saved.map((section) => [section.name, fieldsOf(source, section) as object as Record<string, unknown>]),
  );
  await source.dispose();
});

afterEach(() => machine.dispose());

async function load(acceptedBytes: number, changes: Readonly<Record<string, object>> = {}): Promise<void> {
  machine = WasmMachine.incoming(quietHost(), { given: [], othersAsAtSource: false }, acceptedBytes);
  for (const name of ["wasm-module", "wasi-setup", "wasm-cpu", "wasi"]) {
    const value = structuredClone({ ...sections.get(name), ...changes[name] });
    await machine.devices.load(name, 0, value as StateValue);
  }
}

const refusal = (text: string): unknown =>
  expect.objectContaining({ code: "LIMIT_EXCEEDED", message: expect.stringContaining(text) });

describe("the memory that a guest may have here", () => {
  it("is what it has, and more if more is accepted", async () => {
    await load(3 * WASM_PAGE);
    await machine.start();
    expect(await machine.exited).toEqual({ kind: "exit", status: 2 });
  });

  it("is the most that it can grow to", async () => {
    await load(2 * WASM_PAGE + 4096);
    await machine.start();
    expect(await machine.exited).toEqual({ kind: "exit", status: 255 });
  });

  it("is less than it needs: nothing is made of it", async () => {
    await expect(load(WASM_PAGE)).rejects.toEqual(
      refusal(
        "The guest needs 128 KiB of memory and no more than 64 KiB are accepted here: allow more with --max-ram",
      ),
    );
    expect(machine.memoryBytes).toBe(0);
  });

  it("is less than it had at its source", async () => {
    const grown = { "wasm-module": { memory_pages: 60_000 } };
    await expect(load(512 * WASM_PAGE, grown)).rejects.toEqual(
      refusal("The guest needs 3750 MiB of memory and no more than 32 MiB are accepted here"),
    );
    expect(machine.memoryBytes).toBe(0);
  });

  it("is less than what comes while it is moved, in pages or in the end", async () => {
    await expect(load(3 * WASM_PAGE, { "wasm-cpu": { memory_pages: 4 } })).rejects.toEqual(
      refusal("The guest needs 256 KiB of memory and no more than 192 KiB are accepted here"),
    );
    const ram = await openMachineRam(machine);
    ram.writePages(0, 2 * WASM_PAGE, new Uint8Array(4096));
    expect(() => ram.writePages(0, 3 * WASM_PAGE, new Uint8Array(4096))).toThrow(
      refusal("The guest needs 196 KiB of memory and no more than 192 KiB are accepted here"),
    );
    expect(ram.usedBytes(0)).toBe(3 * WASM_PAGE);
  });
});
