import { openSync } from "node:fs";
import { PassThrough, type Readable } from "node:stream";
import { FixedMachine } from "@peregrine/machine-wasm";
import { describe, expect, it } from "vitest";
import { wat } from "../../machine-wasm/test/wat.ts";
import { guestModule } from "../test/guests.ts";
import { nodeFixedHost } from "./fixed-host.ts";

const nowhere = openSync("/dev/null", "w");

const create = (module: Uint8Array, args: readonly string[] = [], stdin?: Readable): Promise<FixedMachine> =>
  FixedMachine.create(nodeFixedHost({ stdin, outputs: { 1: nowhere, 2: nowhere } }), {
    name: "guest",
    module,
    stackMib: 4,
    wasi: { args: ["guest", ...args], env: [], preopens: [] },
  });

describe("a program that stays on this host", () => {
  it("reads its console and ends with its status", async () => {
    const stdin = new PassThrough();
    const machine = await create(guestModule("console"), [], stdin);
    await machine.start();
    stdin.write("3\n");
    stdin.write("quit 5\n");
    expect(await machine.exited).toEqual({ kind: "exit", status: 5 });
    expect(machine.memoryBytes).toBeGreaterThan(0);
    await machine.dispose();
  });

  it("may use what the rewriter refuses, and its trap is told", async () => {
    const machine = await create(
      wat(`(module (memory (export "memory") 1)
        (func (export "_start") (drop (i32.atomic.load (i32.const 0))) unreachable))`),
    );
    await machine.start();
    expect(await machine.exited).toEqual({ kind: "trap", message: "unreachable" });
    await machine.dispose();
  });

  it("is ended in the middle of a loop", async () => {
    const machine = await create(
      wat(`(module (memory (export "memory") 1) (func (export "_start") (loop (br 0))))`),
    );
    await machine.start();
    await machine.dispose();
    expect(await machine.exited).toMatchObject({ kind: "trap" });
  });

  it("is refused when it is no module or no command", async () => {
    await expect(create(new TextEncoder().encode("#!/bin/sh"))).rejects.toMatchObject({ code: "NOT_WASM" });
    const refused = { code: "UNSUPPORTED_FEATURE" };
    const library = wat(`(module (memory (export "memory") 1) (func (export "run")))`);
    await expect(create(library)).rejects.toMatchObject(refused);
    const unknown = wat(
      `(module (import "env" "x" (func)) (memory (export "memory") 1) (func (export "_start")))`,
    );
    await expect(create(unknown)).rejects.toMatchObject(refused);
  });
});
