import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import * as vitest from "vitest";
import type { Machine } from "../machine.ts";
import { PAGE_SIZE } from "../machine.ts";
import { machineCompliance } from "./machine-compliance.ts";
import { allPages, changedPages, copyPages, openMachineRam, snapshot } from "./ram-tools.ts";
import { TestGuest } from "./test-guest.ts";
import { intervalTicker, TestMachine } from "./test-machine.ts";
import type { Ticker } from "./test-machine.ts";
import { newTestRam, openRam, TestRam } from "./test-ram.ts";

const { describe, expect, it } = vitest;

const pagesWritten = ({ guest }: TestMachine): bigint =>
  guest.sweeps * BigInt(guest.hotPages) + BigInt(guest.position);

machineCompliance(
  "the test machine",
  {
    source: () => TestMachine.source({ ticker: intervalTicker(), dirtyRate: 64 * 1024 * 1024 }),
    destination: () => TestMachine.destination({ ticker: intervalTicker() }),
    async progress(machine: Machine) {
      const test = machine as TestMachine;
      const before = pagesWritten(test);
      const sweep = BigInt(test.guest.hotPages);
      while (pagesWritten(test) < before + sweep) await setImmediate();
    },
    check: (machine: Machine) => {
      (machine as TestMachine).verify();
    },
  },
  vitest,
);

/** A ticker that ticks when the test says so. */
function manualTicker(): { ticker: Ticker; pass: (ms: number) => void; isOn: () => boolean } {
  let tick: ((ms: number) => void) | undefined;
  return {
    ticker: (callback) => {
      tick = callback;
      return () => {
        tick = undefined;
      };
    },
    pass: (ms) => tick?.(ms),
    isOn: () => tick !== undefined,
  };
}

describe("the test machine", () => {
  it("dirties pages at the rate that is set, less while it is throttled, none while stopped", async () => {
    const { ticker, pass, isOn } = manualTicker();
    const machine = TestMachine.source({ ticker, dirtyRate: 1000 * PAGE_SIZE });
    const passSecond = (): void => {
      for (let n = 0; n < 100; n++) pass(10);
    };
    passSecond();
    expect(pagesWritten(machine)).toBe(0n);
    await machine.start();
    passSecond();
    expect(pagesWritten(machine)).toBe(1000n);
    machine.setThrottle(75);
    passSecond();
    expect(pagesWritten(machine)).toBe(1250n);
    machine.setThrottle(0);
    pass(1_000_000);
    expect(pagesWritten(machine)).toBe(1350n);
    expect(isOn()).toBe(true);
    await machine.stop();
    expect(isOn()).toBe(false);
    passSecond();
    machine.tick(5);
    expect(pagesWritten(machine)).toBe(1350n);
    machine.verify();
  });

  it("finds a page that was lost, one that came twice and one in a wrong place", async () => {
    const machine = TestMachine.source();
    await machine.start();
    machine.tick(64 * 3 + 10);
    machine.verify();
    const { ram } = machine.guest;
    for (const [page, offset] of [
      [0, 0],
      [63, 0],
      [200, 8],
      [200, 0],
    ] as const) {
      const at = page * PAGE_SIZE + offset;
      const right = ram.load(0, at);
      for (const wrong of [right + 1, right + 255]) {
        ram.store(0, at, wrong & 0xff);
        expect(() => {
          machine.verify();
        }).toThrow(`page ${page} of block 0`);
      }
      ram.store(0, at, right);
    }
    machine.verify();
  });

  it("has zero pages and others", () => {
    const machine = TestMachine.source();
    const [bytes] = snapshot(machine.guest.ram);
    const isZero = (page: number): boolean =>
      bytes!.subarray(page * PAGE_SIZE, (page + 1) * PAGE_SIZE).every((byte) => byte === 0);
    expect([100, 101, 102, 103].map(isZero)).toEqual([false, false, false, true]);
  });

  it("grows to the length of its block and no further", async () => {
    const machine = TestMachine.source();
    const ram = await openMachineRam(machine);
    machine.grow(256);
    expect(ram.usedBytes(0)).toBe(512 * PAGE_SIZE);
    expect(() => {
      machine.grow(1);
    }).toThrow(expect.objectContaining({ code: "BAD_RAM_PAGE" }));
  });

  it("has no memory at a destination before the early device is loaded, and takes only one guest", async () => {
    const machine = TestMachine.destination();
    expect(() => machine.ram()).toThrow(expect.objectContaining({ code: "WRONG_STATE" }));
    await expect(machine.start()).rejects.toMatchObject({ code: "WRONG_STATE" });
    const layout = TestMachine.source().devices.find("test-layout", 0)!;
    const value = await layout.save();
    await machine.devices.load("test-layout", 0, value);
    await machine.prepared();
    expect(machine.ram().data).toBeDefined();
    await expect(machine.devices.load("test-layout", 0, value)).rejects.toMatchObject({
      code: "DEVICE_STATE",
    });
  });

  it("refuses a layout that would need more memory than a test guest may have", async () => {
    const machine = TestMachine.destination();
    const name = new TextEncoder().encode("big");
    const layout = (pages: number, used: number, hot: number) => ({
      "hot-pages": hot,
      "block-count": 1,
      blocks: [{ "name-length": 3, name, pages, used }],
    });
    for (const wrong of [layout(0xffff_ffff, 1, 1), layout(4, 5, 1), layout(4, 4, 5), layout(4, 4, 0)]) {
      await expect(machine.devices.load("test-layout", 0, wrong)).rejects.toMatchObject({
        code: "DEVICE_STATE",
      });
    }
  });

  it("refuses a guest whose position or memory size is impossible", async () => {
    const machine = TestMachine.source();
    const state = { ...(await machine.devices.find("test-guest", 0)!.save()) };
    for (const wrong of [{ position: 64 }, { "used-pages": [513, 16] }, { "used-pages": [256] }]) {
      await expect(machine.devices.load("test-guest", 0, { ...state, ...wrong })).rejects.toMatchObject({
        code: "DEVICE_STATE",
      });
    }
    await machine.devices.load("test-guest", 0, state);
  });

  it("resolves `exited` when its guest ends, and starts no more", async () => {
    const machine = TestMachine.source();
    await machine.start();
    machine.finish({ kind: "exit", status: 3 });
    expect(await machine.exited).toEqual({ kind: "exit", status: 3 });
    expect(machine.running).toBe(false);
    await expect(machine.start()).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  it("loses no page when its guest writes in another thread than the one that copies", async () => {
    const pages = 64;
    const data = newTestRam([{ name: "test.ram", length: pages * PAGE_SIZE }]);
    const copied = new TestRam(newTestRam(data.blocks));
    const ram = openRam(data);
    ram.use(0, pages);
    new TestGuest(ram, pages).stampAll();
    ram.setLogging(true);
    const stop = new Int32Array(new SharedArrayBuffer(4));
    const workerData = { ram: data, hotPages: pages, stop };
    const worker = new Worker(new URL("../../test/guest-worker.ts", import.meta.url), { workerData });
    await once(worker, "message");
    const dirty = allPages(ram);
    // Its thread may get no processor for longer than many passes over nothing take.
    let written = 0;
    for (let pass = 0; pass < 2000 || written === 0; pass++) {
      copyPages(ram, copied, dirty);
      written += ram.harvest(dirty);
    }
    Atomics.store(stop, 0, 1);
    const [{ sweeps, position }] = (await once(worker, "message")) as [{ sweeps: bigint; position: number }];
    ram.harvest(dirty);
    copyPages(ram, copied, dirty);
    expect(changedPages(snapshot(ram), snapshot(copied))[0]!.count).toBe(0);
    expect(sweeps).toBeGreaterThan(0n);
    const arrived = new TestGuest(copied, pages);
    arrived.sweeps = sweeps;
    arrived.position = position;
    arrived.verify([pages]);
  });
});
