import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { setFlagsFromString } from "node:v8";
import { type GuestThreadData, WasmMachine, type WasmMachineHost } from "@peregrine/machine-wasm";
import { PAGE_SIZE } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { afterAll, describe, expect, it, vi } from "vitest";
import { wat } from "../../machine-wasm/test/wat.ts";
import { fieldsOf, quietHost } from "../test/guests.ts";

// How large a frame is on the thread's stack, one compiler alone decides.
setFlagsFromString("--no-liftoff");

const directory = mkdtempSync(join(tmpdir(), "peregrine-deep-"));
afterAll(() => rmSync(directory, { recursive: true }));

const STACK_MIB = 2;
const DEPTH = 2000;
/** Locals of four groups, by their addresses. */
const GROUPS = [0, 1, 2, 3].map((group) => Array.from({ length: 64 }, (_, n) => 128 + 8 * (64 * group + n)));

/**
 * Goes down, and waits for a byte at the bottom. Its frames have room for the values of one group, which it might keep over a
 * call, and take little more than a MiB of stack. Those of a resume copy have room for all groups, and take four.
 */
const MODULE = wat(`(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\07\\00\\00\\00")
  (data (i32.const 16) "bottom\\0a")
  (data (i32.const 32) "\\40\\00\\00\\00\\01\\00\\00\\00")
  (func $descend (param $level i64) (result i64) ${GROUPS.flat()
    .map((at) => `(local $v${at} i64)`)
    .join(" ")}
    (if (i64.eqz (local.get $level)) (then
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 48)))
      (drop (call $read (i32.const 0) (i32.const 32) (i32.const 1) (i32.const 48)))
      (return (i64.load8_u (i32.const 64)))))
    ${GROUPS.map(
      (group, n) => `(if (i64.eq (local.get $level) (i64.const ${-1 - n})) (then
        ${group.map((at) => `(local.set $v${at} (i64.load (i32.const ${at})))`).join(" ")}
        (drop (call $descend (i64.const 0)))
        ${group.map((at) => `(i64.store (i32.const ${at}) (local.get $v${at}))`).join(" ")}))`,
    ).join("\n")}
    (i64.add (local.get $level) (call $descend (i64.sub (local.get $level) (i64.const 1)))))
  (func (export "_start")
    (if (i64.ne (call $descend (i64.const ${DEPTH})) (i64.const ${(DEPTH * (DEPTH + 1)) / 2 + "x".charCodeAt(0)}))
      (then unreachable))))`);

interface Recorded {
  readonly host: WasmMachineHost;
  readonly stdin: Readable;
  readonly output: number;
  /** Sizes of the stacks that its guest was given, MiB. */
  readonly stacks: number[];
}

function recordingHost(path: string): Recorded {
  const output = openSync(path, "w");
  const stdin = new Readable({ read: () => undefined });
  const host = quietHost({ stdin, output });
  const stacks: number[] = [];
  const startThread = (
    data: GuestThreadData,
    stackMib: number,
  ): ReturnType<WasmMachineHost["startThread"]> => {
    stacks.push(stackMib);
    return host.startThread(data, stackMib);
  };
  return { host: { ...host, startThread }, stdin, output, stacks };
}

/** A guest that has come to its deepest call. */
async function guestAtBottom(name: string): Promise<Recorded & { readonly guest: WasmMachine }> {
  const path = join(directory, name);
  const recorded = recordingHost(path);
  const wasi = { args: [name], env: [], preopens: [] };
  const guest = await WasmMachine.create(recorded.host, {
    name,
    module: MODULE,
    stackMib: STACK_MIB,
    wasi,
  });
  await guest.start();
  await vi.waitFor(() => expect(readFileSync(path, "utf8")).toBe("bottom\n"), {
    interval: 5,
    timeout: 10_000,
  });
  return { ...recorded, guest };
}

/** Lets it go up again. It checks what it comes to. */
async function expectToEnd(guest: WasmMachine, { stdin, stacks, output }: Recorded): Promise<void> {
  stdin.push("x");
  expect(await guest.exited).toEqual({ kind: "exit", status: 0 });
  await guest.dispose();
  closeSync(output);
  expect(stacks[0]).toBe(STACK_MIB);
  expect(stacks.length).toBeGreaterThan(1);
}

describe("a call stack that does not fit when it is resumed", () => {
  it("goes on on a larger stack when the dirty log is switched on, and does the same", async () => {
    const { guest, ...recorded } = await guestAtBottom("switched");
    await guest.startDirtyLog();
    await expectToEnd(guest, recorded);
  });

  it("goes on on a larger stack where it arrives; the source's stack is the least it gets there", async () => {
    const { guest: source, output } = await guestAtBottom("moved");
    await source.stop();
    const there = recordingHost(join(directory, "arrived"));
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
    closeSync(output);
    await destination.start();
    await expectToEnd(destination, there);
  });
});
