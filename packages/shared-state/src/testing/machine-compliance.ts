import { ByteReader } from "@peregrine/protocol";
import type * as Vitest from "vitest";
import { decoderFor } from "../device-registry.ts";
import type { DevicePhase, SavedDevice } from "../device-registry.ts";
import { DirtyBitmap } from "../dirty-bitmap.ts";
import { PAGE_SIZE } from "../machine.ts";
import type { GuestRam, Machine } from "../machine.ts";
import { describedFields } from "./fields.ts";
import { allPages, changedPages, copyPages, noPages, openMachineRam, snapshot } from "./ram-tools.ts";

/** The parts of vitest that the suite uses; handed over, so that nothing here imports a test runner. */
export type SuiteApi = Pick<typeof Vitest, "afterEach" | "describe" | "expect" | "it">;

/** How the suite gets machines of one kind. Whoever makes them need not dispose of them. */
export interface MachineFixture {
  /**
   * A machine with a guest that is not started yet. The guest runs until it is stopped, writes to its
   * memory all the time, and leaves at least one page that is in use alone.
   */
  source(): Machine | Promise<Machine>;
  /** A machine that a guest of `source` can arrive in. */
  destination(): Machine | Promise<Machine>;
  /** Resolves when the guest, which is running, has written again to most of what it writes to. */
  progress(machine: Machine): Promise<void>;
  /** Throws when the guest of a stopped machine finds its memory damaged. */
  check?(machine: Machine): void | Promise<void>;
  /** Sections whose bytes depend on the time at which they are saved. */
  readonly timed?: readonly string[];
}

/** Long enough for a guest that was not really stopped to be seen. */
const WATCH_MS = 20;

/** What every {@link Machine} has to do, whatever it runs. */
export function machineCompliance(name: string, fixture: MachineFixture, api: SuiteApi): void {
  const { afterEach, describe, expect, it } = api;
  const machines: Machine[] = [];

  const source = async (): Promise<Machine> => keep(await fixture.source());
  const destination = async (): Promise<Machine> => keep(await fixture.destination());

  function keep(machine: Machine): Machine {
    machines.push(machine);
    return machine;
  }

  async function run(machine: Machine): Promise<void> {
    await machine.start();
    await fixture.progress(machine);
    await machine.stop();
  }

  /** What two saves of one state have in common. */
  function comparable(sections: readonly SavedDevice[]): unknown {
    return sections.map(({ name: section, instance, payload }) =>
      fixture.timed?.includes(section) === true ? { section, instance } : { section, instance, payload },
    );
  }

  function expectAll(changed: readonly DirtyBitmap[], marked: readonly DirtyBitmap[]): void {
    for (const [block, bitmap] of changed.entries()) {
      for (let page = bitmap.nextSet(0); page >= 0; page = bitmap.nextSet(page + 1)) {
        expect(marked[block]!.test(page), `page ${page} of block ${block} was written but not marked`).toBe(
          true,
        );
      }
    }
  }

  describe(`${name} is a machine that`, () => {
    afterEach(async () => {
      for (const machine of machines.splice(0)) await machine.dispose();
    });

    it("runs when it is started and stands still when it is stopped", async () => {
      const machine = await source();
      const ram = await openMachineRam(machine);
      const before = snapshot(ram);
      await run(machine);
      const stopped = snapshot(ram);
      expect(count(changedPages(before, stopped))).toBeGreaterThan(0);
      await new Promise((resolve) => {
        setTimeout(resolve, WATCH_MS);
      });
      expect(count(changedPages(stopped, snapshot(ram)))).toBe(0);
    });

    it("takes a second start or stop for none", async () => {
      const machine = await source();
      await machine.stop();
      await machine.start();
      await machine.start();
      await fixture.progress(machine);
      await machine.stop();
      await machine.stop();
      const ram = await openMachineRam(machine);
      const stopped = snapshot(ram);
      await run(machine);
      expect(count(changedPages(stopped, snapshot(ram)))).toBeGreaterThan(0);
    });

    it("logs every page that is written, and not those that are left alone", async () => {
      const machine = await source();
      const ram = await openMachineRam(machine);
      await run(machine);
      await machine.startDirtyLog();
      ram.harvest(noPages(ram));
      const before = snapshot(ram);
      await run(machine);
      const marked = noPages(ram);
      const fresh = ram.harvest(marked);
      const changed = changedPages(before, snapshot(ram));
      expect(fresh).toBe(count(marked));
      expect(count(changed)).toBeGreaterThan(0);
      expectAll(changed, marked);
      expect(count(marked)).toBeLessThan(count(allPages(ram)));
    });

    it("clears the dirty log by harvesting it, and counts only bits that were clear", async () => {
      const machine = await source();
      const ram = await openMachineRam(machine);
      await machine.startDirtyLog();
      await run(machine);
      const marked = allPages(ram);
      expect(ram.harvest(marked)).toBe(0);
      expect(ram.harvest(noPages(ram))).toBe(0);
    });

    it("logs again after the log was off", async () => {
      const machine = await source();
      const ram = await openMachineRam(machine);
      await machine.startDirtyLog();
      await run(machine);
      await machine.stopDirtyLog();
      await run(machine);
      await machine.startDirtyLog();
      ram.harvest(noPages(ram));
      const before = snapshot(ram);
      await run(machine);
      const marked = noPages(ram);
      ram.harvest(marked);
      expectAll(changedPages(before, snapshot(ram)), marked);
    });

    it("switches the log on and off while the guest runs", async () => {
      const machine = await source();
      await machine.start();
      await fixture.progress(machine);
      await machine.startDirtyLog();
      const ram = await openMachineRam(machine);
      const before = snapshot(ram);
      await fixture.progress(machine);
      await machine.stop();
      const marked = noPages(ram);
      ram.harvest(marked);
      expectAll(changedPages(before, snapshot(ram)), marked);
      await machine.start();
      await machine.stopDirtyLog();
      await fixture.progress(machine);
    });

    it("makes progress while it is throttled", async () => {
      const machine = await source();
      await machine.start();
      machine.setThrottle?.(50);
      await fixture.progress(machine);
      machine.setThrottle?.(0);
      await fixture.progress(machine);
    });

    it("moves while it runs, and goes on where it stopped", async () => {
      const from = await source();
      const to = await destination();
      await load(to, await from.devices.saveAll("early"));
      await to.prepared();
      const ram = await openMachineRam(from);
      const arriving = await openMachineRam(to);
      await from.start();
      await from.startDirtyLog();
      const dirty = allPages(ram);
      for (let pass = 0; pass < 3; pass++) {
        copyPages(ram, arriving, dirty);
        await fixture.progress(from);
        ram.harvest(dirty);
      }
      await from.stop();
      ram.harvest(dirty);
      copyPages(ram, arriving, dirty);
      const late = await from.devices.saveAll("late");
      await load(to, late);
      await from.stopDirtyLog();

      expect(count(changedPages(snapshot(ram), snapshot(arriving)))).toBe(0);
      expect(comparable(await to.devices.saveAll("late"))).toEqual(comparable(late));
      await fixture.check?.(to);
      const arrived = snapshot(arriving);
      await run(to);
      expect(count(changedPages(arrived, snapshot(arriving)))).toBeGreaterThan(0);
      await fixture.check?.(to);

      await run(from);
      await fixture.check?.(from);
    });

    it("describes every section exactly", async () => {
      const machine = await source();
      await run(machine);
      for (const phase of ["early", "late"] satisfies DevicePhase[]) {
        for (const { description, payload } of await machine.devices.saveAll(phase)) {
          expect(describedFields(description, payload)).not.toEqual([]);
        }
      }
    });

    it("fills pages and writes pages, and refuses what lies outside a block", async () => {
      const from = await source();
      const to = await destination();
      await load(to, await from.devices.saveAll("early"));
      const ram = await openMachineRam(to);
      const { length } = ram.blocks[0]!;
      const page = new Uint8Array(PAGE_SIZE).fill(7);
      ram.writePages(0, PAGE_SIZE, page);
      expect(pageAt(ram, 1)).toEqual(page);
      ram.fillPages(0, PAGE_SIZE, 1, 0);
      expect(pageAt(ram, 1)).toEqual(new Uint8Array(PAGE_SIZE));
      const outside = expect.objectContaining({ code: "BAD_RAM_PAGE" });
      expect(() => {
        ram.writePages(0, length, page);
      }).toThrow(outside);
      expect(() => {
        ram.fillPages(0, length, 1, 1);
      }).toThrow(outside);
    });

    it("does not start any more once it is disposed of", async () => {
      const machine = await source();
      await run(machine);
      await machine.dispose();
      await expect(machine.start()).rejects.toThrow();
      await machine.dispose();
    });
  });
}

/** Loads sections as an agent does: decoded by the description, then handed to the device. */
async function load(machine: Machine, sections: readonly SavedDevice[]): Promise<void> {
  const devices = structuredClone(machine.devices.descriptions());
  for (const { name, instance, version, payload } of sections) {
    const decoder = decoderFor(devices, name, instance, version);
    const input = new ByteReader();
    input.push(payload);
    if (!decoder.decode(input)) throw new Error(`the section '${name}' is not complete`);
    await machine.devices.load(name, instance, decoder.value);
  }
}

function pageAt(ram: GuestRam, page: number): Uint8Array {
  const bytes = new Uint8Array(PAGE_SIZE);
  ram.readPages(0, page, 1, bytes, 0);
  return bytes;
}

function count(bitmaps: readonly DirtyBitmap[]): number {
  return bitmaps.reduce((sum, bitmap) => sum + bitmap.count, 0);
}
