import { WasmMachine } from "@peregrine/machine-wasm";
import type { StateValue } from "@peregrine/shared-state";
import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { wat } from "../../machine-wasm/test/wat.ts";
import { openDescriptors } from "../test/guest-directory.ts";
import { fieldsOf, quietHost } from "../test/guests.ts";

/** A program with everything that travels: frames, globals, a table that changes, segments that can be dropped. */
const MODULE = wat(`(module
  (type $t (func))
  (memory (export "memory") 2 4)
  (global $g (mut i64) (i64.const 5))
  (table $table 2 4 funcref)
  (elem declare func $spin)
  (data $d "passive")
  (func $spin (loop $l (br_if $l (i64.ne (global.get $g) (i64.const 0)))))
  (func (export "_start")
    (data.drop $d)
    (table.set $table (i32.const 1) (ref.func $spin))
    (call_indirect (type $t) (i32.const 1))))`);

type Fields = Record<string, unknown>;
let sections: Map<string, Fields>;

beforeAll(async () => {
  const wasi = { args: ["x"], env: [], preopens: [] };
  const source = await WasmMachine.create(quietHost(), { name: "x", module: MODULE, stackMib: 3, wasi });
  await source.start();
  await source.stop();
  const saved = [...(await source.devices.saveAll("early")), ...(await source.devices.saveAll("late"))];
  sections = new Map(saved.map((section) => [section.name, fieldsOf(source, section) as Fields]));
  await source.dispose();
});

let machine: WasmMachine;
afterEach(() => machine.dispose());

const ORDER = ["wasm-module", "wasi-setup", "wasm-cpu", "wasi"];

/** Loads the sections up to `name`, of which these fields are others. */
async function load(name: string, changes: Fields, order: readonly string[] = ORDER): Promise<void> {
  machine = WasmMachine.incoming(quietHost());
  for (const section of order) {
    const fields = sections.get(section)!;
    const value = structuredClone(section === name ? { ...fields, ...changes } : fields);
    await machine.devices.load(section, 0, value as StateValue);
    if (section === name) return;
  }
}

const refuses = async (name: string, changes: Fields, message: RegExp, order = ORDER): Promise<void> => {
  await expect(load(name, changes, order), JSON.stringify(Object.keys(changes))).rejects.toMatchObject({
    code: "DEVICE_STATE",
    message: expect.stringMatching(message) as string,
  });
  await machine.dispose();
};

describe("sections of a hostile peer", () => {
  it("are loaded when nothing is wrong with them, and the guest has the source's stack", async () => {
    const stacks: number[] = [];
    const host = quietHost();
    machine = WasmMachine.incoming({
      ...host,
      startThread: (data, stackMib) => {
        stacks.push(stackMib);
        return host.startThread(data, stackMib);
      },
    });
    for (const name of ORDER)
      await machine.devices.load(name, 0, structuredClone(sections.get(name)!) as StateValue);
    await machine.start();
    await machine.stop();
    expect(stacks).toEqual([3]);
  });

  it("are refused for a program that is not what it is said to be", async () => {
    await refuses("wasm-module", { rewriter: 999 }, /version 999.*same release/);
    for (const stack_mib of [0, 4097, 0xffff_ffff])
      await refuses("wasm-module", { stack_mib }, /stack of \d+ MiB is not possible/);
    await refuses("wasm-module", { sha256: new Uint8Array(32) }, /SHA-256/);
    for (const memory_pages of [65537, 0xffff_ffff])
      await refuses("wasm-module", { memory_pages }, /memory cannot have \d+ pages: the program allows \d+/);
    const garbage = Uint8Array.of(1, 2, 3, 4);
    const sha256 = new Uint8Array(await crypto.subtle.digest("SHA-256", garbage));
    await refuses(
      "wasm-module",
      { module: garbage, module_length: 4, sha256 },
      /not a valid WebAssembly module/,
    );
    await load("wasm-module", {});
    await expect(
      machine.devices.load("wasm-module", 0, structuredClone(sections.get("wasm-module")!) as StateValue),
    ).rejects.toThrow(/has arrived already/);
  });

  it("are refused out of their order", async () => {
    await refuses("wasm-cpu", {}, /program has not arrived/, ["wasm-cpu"]);
    await refuses("wasi", {}, /processor state has to come before/, ["wasm-module", "wasi"]);
  });

  it("are refused for a processor that the program cannot have", async () => {
    for (const memory_pages of [0, 1, 5, 65536, 0xffff_ffff])
      await refuses("wasm-cpu", { memory_pages }, /memory cannot have \d+ bytes/);
    const frames = sections.get("wasm-cpu")!["frames"] as Uint8Array;
    expect(frames.length).toBeGreaterThanOrEqual(32);
    await refuses("wasm-cpu", { frames: frames.subarray(8) }, /call stack is damaged/);
    await refuses("wasm-cpu", { frames: new Uint8Array(64) }, /call stack is damaged/);
    await refuses("wasm-cpu", { dropped: new Uint8Array(9) }, /segments, not 9/);
  });

  it("are refused for globals and tables that the program does not have", async () => {
    const wrong: readonly (readonly [Fields, RegExp])[] = [
      [{ globals: new Uint8Array(7) }, /7 bytes of globals/],
      [{ tables: [] }, /0 tables/],
      [{ tables: [{ entry_count: 1, entries: [-1] }] }, /1 entries, at least 2/],
      [{ tables: [{ entry_count: 5, entries: [-1, -1, -1, -1, -1] }] }, /cannot have 5 entries/],
      [{ tables: [{ entry_count: 2, entries: [-1, 2] }] }, /names function 2, which cannot be/],
      [{ tables: [{ entry_count: 2, entries: [-2, 0] }] }, /names function -2/],
    ];
    const good = sections.get("wasm-cpu")!;
    for (const [changes, message] of wrong) {
      sections.set("wasm-cpu", { ...good, ...changes });
      await refuses("wasi", {}, message);
    }
    sections.set("wasm-cpu", good);
  });

  it("leave no descriptor behind", async () => {
    await load("wasi", {});
    await machine.dispose();
    const before = openDescriptors();
    for (let times = 0; times < 3; times++) {
      await refuses("wasi", { monotonicNs: 0n, pollPending: true, pollStartedNs: 1n }, /future/);
      await load("wasi", {});
      await machine.dispose();
    }
    expect(openDescriptors()).toBe(before);
  });
});
