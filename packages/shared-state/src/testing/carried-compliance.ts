import type {
  BuildRam,
  CarriedClosing,
  CarriedMachine,
  CarriedOpening,
  MachineIntake,
  RamBuilder,
} from "../carried-machine.ts";
import type { DirtyBitmap } from "../dirty-bitmap.ts";
import { PAGE_SIZE } from "../machine.ts";
import type { GuestRam, Machine, RamBlock } from "../machine.ts";
import type { SuiteApi } from "./machine-compliance.ts";
import { changedPages, copyPages, noPages, openMachineRam, snapshot } from "./ram-tools.ts";

const BLOCKS: readonly RamBlock[] = [
  { name: "pc.ram", length: 100 * PAGE_SIZE },
  { name: "pc.rom", length: 3 * PAGE_SIZE },
];

const OPENING: CarriedOpening = {
  configuration: { machineType: "pc-test-1" },
  footers: true,
  early: [{ name: "early", instance: 1, version: 2, payload: Uint8Array.of(1, 2) }],
  uuid: new Uint8Array(16).fill(7),
};

const CLOSING: CarriedClosing = {
  late: [
    { name: "timer", instance: 0, version: 2, payload: Uint8Array.of(3) },
    { name: "cpu", instance: 1, version: 12, payload: Uint8Array.of(4, 5, 6) },
  ],
  ending: { kind: "described", text: '{"devices": []}' },
};

/** A machine that something arrives in. */
interface Arrival {
  readonly machine: Machine;
  readonly carried: CarriedMachine;
  readonly intake: MachineIntake;
  readonly builder: RamBuilder;
}

/** What every {@link Machine} has to do that takes in any virtual machine and passes it on as it came. */
export function carriedCompliance(name: string, make: () => Machine, api: SuiteApi): void {
  const { afterEach, describe, expect, it } = api;
  const machines: Machine[] = [];
  const wrongState = expect.objectContaining({ code: "WRONG_STATE" });

  /** As far as the list of blocks was read, when it is not told that yet. */
  async function listed(): Promise<Arrival> {
    const machine = make();
    machines.push(machine);
    const { carried, intake } = machine;
    if (carried === undefined || intake === undefined) throw new Error("the machine carries nothing");
    const { module, data } = intake.memory;
    const { buildRam } = (await import(/* @vite-ignore */ module)) as { buildRam: BuildRam };
    const builder = buildRam(structuredClone(data));
    for (const block of BLOCKS) builder.addBlock(block);
    return { machine, carried, intake, builder };
  }

  async function opened(): Promise<Arrival> {
    const arrival = await listed();
    arrival.intake.opened(OPENING, structuredClone(arrival.builder.access()));
    return arrival;
  }

  function write(ram: GuestRam, block: number, page: number, value: number): void {
    ram.writePages(block, page * PAGE_SIZE, new Uint8Array(PAGE_SIZE).fill(value));
  }

  /** Pages 1, 40 and 41 of the first block, page 2 of the other one, the last of them zero. */
  function writeSome(ram: GuestRam): void {
    write(ram, 0, 1, 11);
    ram.writePages(0, 40 * PAGE_SIZE, new Uint8Array(2 * PAGE_SIZE).fill(12));
    ram.fillPages(1, 2 * PAGE_SIZE, 1, 0);
  }

  const SOME = [[1, 40, 41], [2]];

  function pagesOf(bitmaps: readonly DirtyBitmap[]): number[][] {
    return bitmaps.map((bitmap) =>
      Array.from({ length: bitmap.pages }, (_, page) => page).filter((page) => bitmap.test(page)),
    );
  }

  function harvested(ram: GuestRam): number[][] {
    const into = noPages(ram);
    const fresh = ram.harvest(into);
    const pages = pagesOf(into);
    expect(fresh).toBe(pages.flat().length);
    return pages;
  }

  describe(`${name} is a carried machine that`, () => {
    afterEach(async () => {
      for (const machine of machines.splice(0)) await machine.dispose();
    });

    it("is empty until the list of RAM blocks was read", async () => {
      const { machine, carried } = await listed();
      expect(() => machine.ram()).toThrow(wrongState);
      expect(() => carried.opening()).toThrow(wrongState);
      expect(() => carried.closing()).toThrow(wrongState);
      await expect(machine.startDirtyLog()).rejects.toThrow(wrongState);
      expect(new Int32Array(carried.arrived)[0]).toBe(0);
      expect(machine.devices.descriptions()).toEqual([]);
    });

    it("tells what it came with, each part as soon as it is there", async () => {
      const { machine, carried, intake } = await opened();
      expect(machine.type).toBe("pc-test-1");
      expect(carried.opening()).toEqual(OPENING);
      expect(() => carried.closing()).toThrow(wrongState);
      expect(new Int32Array(carried.arrived)[0]).toBe(0);
      intake.closed(CLOSING);
      expect(carried.opening()).toEqual(OPENING);
      expect(carried.closing()).toEqual(CLOSING);
      expect(new Int32Array(carried.arrived)[0]).toBe(1);
    });

    it("wakes who waits for it to arrive", async () => {
      const { carried, intake } = await opened();
      const waiting = Atomics.waitAsync(new Int32Array(carried.arrived), 0, 0);
      expect(waiting.async).toBe(true);
      intake.closed(CLOSING);
      expect(await waiting.value).toBe("ok");
    });

    it("has the blocks that were added, full of zeros", async () => {
      const { machine, builder } = await opened();
      const ram = await openMachineRam(machine);
      for (const memory of [ram, builder.ram]) {
        expect(memory.blocks).toEqual(BLOCKS);
        expect(memory.blocks.map((_, block) => memory.usedBytes(block))).toEqual(
          BLOCKS.map(({ length }) => length),
        );
      }
      expect(snapshot(ram)).toEqual(BLOCKS.map(({ length }) => new Uint8Array(length)));
    });

    it("logs every page that arrived, zeros too, and no other", async () => {
      const { machine, builder } = await opened();
      writeSome(builder.ram);
      await machine.startDirtyLog();
      const ram = await openMachineRam(machine);
      expect(ram.logsAllContents).toBe(true);
      expect(harvested(ram)).toEqual(SOME);
      expect(harvested(ram)).toEqual([[], []]);
    });

    it("counts a harvested page only if its bit was clear", async () => {
      const { machine, builder } = await opened();
      writeSome(builder.ram);
      await machine.startDirtyLog();
      const ram = await openMachineRam(machine);
      const dirty = noPages(ram);
      dirty[0]!.set(40);
      expect(ram.harvest(dirty)).toBe(3);
      write(builder.ram, 0, 40, 1);
      write(builder.ram, 0, 99, 1);
      expect(ram.harvest(dirty)).toBe(1);
    });

    it("logs what arrives while it is sent on", async () => {
      const { machine, builder } = await opened();
      writeSome(builder.ram);
      await machine.startDirtyLog();
      const ram = await openMachineRam(machine);
      harvested(ram);
      write(builder.ram, 0, 41, 13);
      builder.ram.fillPages(0, PAGE_SIZE, 1, 14);
      builder.ram.fillPages(0, 32 * PAGE_SIZE, 1, 0);
      expect(harvested(ram)).toEqual([[1, 32, 41], []]);
    });

    it("logs all of it again for the next migration, whatever the one before took", async () => {
      const { machine, builder, intake } = await opened();
      writeSome(builder.ram);
      await machine.startDirtyLog();
      const ram = await openMachineRam(machine);
      harvested(ram);
      write(builder.ram, 0, 5, 15);
      await machine.stopDirtyLog();
      write(builder.ram, 0, 6, 16);
      await machine.startDirtyLog();
      write(builder.ram, 0, 7, 17);
      expect(harvested(ram)).toEqual([[1, 5, 6, 7, 40, 41], [2]]);
      intake.closed(CLOSING);
      await machine.stopDirtyLog();
      await machine.startDirtyLog();
      expect(harvested(await openMachineRam(machine))).toEqual([[1, 5, 6, 7, 40, 41], [2]]);
    });

    it("leaves a page alone that is filled with what it holds", async () => {
      const { machine, builder } = await opened();
      const { ram } = builder;
      write(ram, 0, 1, 9);
      harvested(ram);
      ram.fillPages(0, PAGE_SIZE, 1, 9);
      expect(harvested(ram)).toEqual([[], []]);
      ram.fillPages(0, PAGE_SIZE, 1, 0);
      expect(harvested(ram)).toEqual([[1], []]);
      expect(snapshot(await openMachineRam(machine))[0]!.every((byte) => byte === 0)).toBe(true);
    });

    it("moves on while it arrives, and stays as it is", async () => {
      const from = await opened();
      const to = await opened();
      const source = await openMachineRam(from.machine);
      const dirty = noPages(source);
      await from.machine.startDirtyLog();
      for (let pass = 0; pass < 3; pass++) {
        write(from.builder.ram, 0, 50 + pass, 20 + pass);
        write(from.builder.ram, 1, 0, 30 + pass);
        source.harvest(dirty);
        copyPages(source, to.builder.ram, dirty);
      }
      from.intake.closed(CLOSING);
      await from.machine.stop();
      await from.machine.stopDirtyLog();
      to.intake.closed(CLOSING);
      const arrived = snapshot(await openMachineRam(to.machine));
      expect(pagesOf(changedPages(snapshot(source), arrived))).toEqual([[], []]);
      expect(arrived[1]![0]).toBe(32);
      expect(from.carried.closing()).toEqual(CLOSING);
    });

    it("refuses what lies outside a block", async () => {
      const { ram } = (await opened()).builder;
      const outside = expect.objectContaining({ code: "BAD_RAM_PAGE" });
      const { length } = BLOCKS[0]!;
      const twoPages = new Uint8Array(2 * PAGE_SIZE);
      for (const offset of [length, -PAGE_SIZE, 2 ** 40, Number.NaN]) {
        expect(() => ram.writePages(0, offset, twoPages)).toThrow(outside);
        expect(() => ram.fillPages(0, offset, 1, 1)).toThrow(outside);
        expect(() => ram.readPages(0, offset / PAGE_SIZE, 1, twoPages, 0)).toThrow(outside);
      }
      expect(() => ram.writePages(0, length - PAGE_SIZE, twoPages)).toThrow(outside);
      expect(() => ram.readPages(0, length / PAGE_SIZE - 1, 2, twoPages, 0)).toThrow(outside);
      expect(harvested(ram)).toEqual([[], []]);
    });

    it("holds nobody back while nobody sends it on", async () => {
      const { builder } = await opened();
      for (let page = 0; page < 100; page++) write(builder.ram, 0, page, page);
      expect(builder.room()).toBeUndefined();
    });

    it("drops everything when it is disposed of", async () => {
      const { machine, carried, intake } = await opened();
      intake.closed(CLOSING);
      await machine.dispose();
      await machine.dispose();
      expect(() => machine.ram()).toThrow(wrongState);
      expect(() => carried.opening()).toThrow(wrongState);
      expect(() => carried.closing()).toThrow(wrongState);
      await (await listed()).machine.dispose();
    });
  });
}
