import { MigrationError } from "@peregrine/protocol";
import { describe, expect, it, vi } from "vitest";
import { FixedMachine, type FixedGuest, type FixedThread } from "./fixed-machine.ts";

const GUEST: FixedGuest = {
  name: "program",
  module: new Uint8Array(0),
  stackMib: 1,
  wasi: { args: ["program"], env: [], preopens: [] },
};

function fakeHost(ready: Promise<void> = Promise.resolve()) {
  const thread = {
    ready,
    exited: Promise.resolve({ kind: "exit" as const, status: 4 }),
    memoryBytes: 65536,
    start: vi.fn<() => void>(),
    wake: vi.fn<() => void>(),
    terminate: vi.fn<() => Promise<void>>(() => Promise.resolve()),
  } satisfies FixedThread;
  const input = {
    attach: vi.fn<(wake: () => void) => void>(),
    detach: vi.fn<() => void>(),
    unread: () => ({ bytes: new Uint8Array(0), ended: false }),
  };
  return { thread, input, startThread: () => thread };
}

describe("a program that stays on its host", () => {
  it("is started once, with its console", async () => {
    const host = fakeHost();
    const machine = await FixedMachine.create(host, GUEST);
    await machine.stop();
    await machine.start();
    await machine.start();
    expect(host.thread.start).toHaveBeenCalledTimes(1);
    host.input.attach.mock.calls[0]![0]();
    expect(host.thread.wake).toHaveBeenCalledTimes(1);
    expect(await machine.exited).toEqual({ kind: "exit", status: 4 });
    expect([machine.program, machine.memoryBytes]).toEqual(["program", 65536]);
  });

  it("says why it cannot be stopped, read or migrated", async () => {
    const machine = await FixedMachine.create(fakeHost(), GUEST);
    await machine.start();
    const refused = { code: "WRONG_STATE", message: expect.stringContaining("--no-migrate") as string };
    await expect(machine.stop()).rejects.toMatchObject(refused);
    await expect(machine.startDirtyLog()).rejects.toMatchObject(refused);
    expect(() => machine.ram()).toThrow(expect.objectContaining(refused));
    expect(machine.devices.unmigratable).toMatch(/non-migratable device 'wasm-cpu'.*--no-migrate/);
  });

  it("leaves no thread behind when it cannot be made or is ended", async () => {
    const refused = fakeHost(Promise.reject(new MigrationError("NOT_WASM", "no module")));
    await expect(FixedMachine.create(refused, GUEST)).rejects.toMatchObject({ code: "NOT_WASM" });
    expect(refused.thread.terminate).toHaveBeenCalledTimes(1);
    const host = fakeHost();
    const machine = await FixedMachine.create(host, GUEST);
    await machine.dispose();
    expect(host.thread.terminate).toHaveBeenCalledTimes(1);
    await expect(machine.start()).rejects.toMatchObject({ code: "WRONG_STATE" });
    expect(host.input.attach).not.toHaveBeenCalled();
  });
});
