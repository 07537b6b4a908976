import { encodeGlobalState } from "@peregrine/protocol";
import { PAGE_SIZE, RunControl } from "@peregrine/shared-state";
import type { CarriedClosing, CarriedOpening, OpaqueSection, RamBuilder } from "@peregrine/shared-state";
import { carriedCompliance } from "@peregrine/shared-state/testing";
import * as vitest from "vitest";
import { buildRam } from "./image-memory.ts";
import { ImageMachine } from "./image-machine.ts";

const { describe, expect, it } = vitest;

carriedCompliance("an image", () => new ImageMachine(), vitest);

const OPENING: CarriedOpening = {
  configuration: { machineType: "pc-q35-10.0" },
  footers: true,
  early: [],
  uuid: undefined,
};

function section(name: string, payload: Uint8Array): OpaqueSection {
  return { name, instance: 0, version: 1, payload: new Uint8Array(payload) };
}

function described(...late: readonly OpaqueSection[]): CarriedClosing {
  return { late, ending: { kind: "described", text: "{}" } };
}

/** Tells the machine of two blocks. */
function open(machine: ImageMachine, opening: CarriedOpening = OPENING): RamBuilder {
  const builder = buildRam(machine.intake.memory.data);
  builder.addBlock({ name: "pc.ram", length: 8 * PAGE_SIZE });
  builder.addBlock({ name: "pc.bios", length: 2 * PAGE_SIZE });
  machine.intake.opened(opening, builder.access());
  return builder;
}

function imageOf(closing: CarriedClosing, opening: CarriedOpening = OPENING): ImageMachine {
  const machine = new ImageMachine();
  open(machine, opening);
  machine.intake.closed(closing);
  return machine;
}

describe("an image of a virtual machine", () => {
  it("does not run", async () => {
    const machine = imageOf(described());
    const refused = {
      code: "WRONG_STATE",
      message: expect.stringContaining("migrate it to a QEMU") as string,
    };
    await expect(machine.start()).rejects.toMatchObject(refused);
    await machine.stop();
    await machine.prepared();
  });

  it("is paused when it has arrived, and cannot be continued, before or after", async () => {
    const machine = new ImageMachine();
    const run = new RunControl(machine, { initial: "inmigrate" });
    await expect(run.cont()).rejects.toMatchObject({ code: "WRONG_STATE" });
    open(machine);
    machine.intake.closed(described());
    await run.arrive();
    expect(run.state).toBe("paused");
    await expect(run.cont()).rejects.toMatchObject({ code: "WRONG_STATE" });
    expect(run.state).toBe("paused");
  });

  it("says what is known of it while it arrives", async () => {
    const machine = new ImageMachine();
    expect([machine.type, machine.program, machine.memoryBytes]).toEqual(["unknown", undefined, 0]);
    expect(machine.summary).toBeUndefined();
    const { ram } = open(machine);
    ram.writePages(0, PAGE_SIZE, new Uint8Array(2 * PAGE_SIZE));
    ram.fillPages(1, 0, 1, 0);
    expect([machine.type, machine.program]).toEqual(["pc-q35-10.0", "QEMU virtual machine"]);
    expect(machine.memoryBytes).toBe(10 * PAGE_SIZE);
    const opened = {
      blocks: [
        { name: "pc.ram", length: 8 * PAGE_SIZE },
        { name: "pc.bios", length: 2 * PAGE_SIZE },
      ],
      pagesWithContents: 3,
      configuration: true,
      footers: true,
    };
    expect(machine.summary).toEqual({ ...opened, arrived: undefined });
    machine.intake.closed(
      described(section("cpu", Uint8Array.of(1)), section("globalstate", encodeGlobalState("paused"))),
    );
    expect(machine.summary).toEqual({
      ...opened,
      arrived: { devices: 2, vmDescription: true, runState: "paused" },
    });
    await machine.dispose();
    expect([machine.type, machine.program, machine.memoryBytes]).toEqual(["unknown", undefined, 0]);
    expect(machine.summary).toBeUndefined();
  });

  it("says what is known of one whose machine type is old", () => {
    const old: CarriedOpening = {
      ...OPENING,
      configuration: undefined,
      footers: false,
      early: [section("early", Uint8Array.of(1))],
    };
    // What looks like a run state is the beginning of all late sections.
    const whole = section("globalstate", Uint8Array.of(1, 2, 3));
    const undivided = imageOf({ late: [whole], ending: { kind: "undivided" } }, old);
    expect(undivided.type).toBe("unknown, up to 2.3");
    expect(undivided.summary).toMatchObject({
      configuration: false,
      footers: false,
      arrived: { devices: undefined, vmDescription: false, runState: undefined },
    });
    const divided = imageOf({ late: [section("cpu", Uint8Array.of(1))], ending: { kind: "end-mark" } }, old);
    expect(divided.summary?.arrived).toEqual({ devices: 2, vmDescription: false, runState: undefined });
  });

  it("does not arrive with a run state that no QEMU would load", () => {
    const machine = new ImageMachine();
    open(machine);
    expect(() => machine.intake.closed(described(section("globalstate", Uint8Array.of(1))))).toThrow(
      expect.objectContaining({ code: "BAD_SECTION", section: "globalstate" }),
    );
    expect(() => machine.carried.closing()).toThrow(expect.objectContaining({ code: "WRONG_STATE" }));
    expect(new Int32Array(machine.carried.arrived)[0]).toBe(0);
  });

  it("goes out with the UUID that it was given, otherwise with the one it came with", () => {
    const came = new Uint8Array(16).fill(1);
    const given = new Uint8Array(16).fill(2);
    const uuidOf = (machine: ImageMachine, uuid: Uint8Array | undefined): Uint8Array | undefined => {
      open(machine, { ...OPENING, uuid });
      return machine.carried.opening().uuid;
    };
    expect(uuidOf(new ImageMachine(), undefined)).toBeUndefined();
    expect(uuidOf(new ImageMachine(), came)).toBe(came);
    expect(uuidOf(new ImageMachine({ uuid: given }), came)).toBe(given);
    expect(uuidOf(new ImageMachine({ uuid: given }), undefined)).toBe(given);
  });

  it.each([
    { until: "its limit is lifted", lift: (machine: ImageMachine): void => machine.setBacklogLimit(0) },
    { until: "it is disposed of", lift: (machine: ImageMachine): void => void machine.dispose() },
  ])("holds back who writes until $until", async ({ lift }) => {
    const machine = new ImageMachine();
    const builder = open(machine);
    machine.setBacklogLimit(2);
    builder.ram.writePages(0, 0, new Uint8Array(2 * PAGE_SIZE));
    expect(builder.room()).toBeUndefined();
    builder.ram.fillPages(1, 0, 1, 0);
    const room = builder.room();
    expect(room).toBeInstanceOf(Promise);
    lift(machine);
    await room;
  });

  it("is told each thing once and in order", async () => {
    const machine = new ImageMachine();
    const outOfTurn = expect.objectContaining({ code: "INTERNAL" });
    expect(() => machine.intake.closed(described())).toThrow(outOfTurn);
    open(machine);
    expect(() => open(machine)).toThrow(outOfTurn);
    machine.intake.closed(described());
    expect(() => machine.intake.closed(described())).toThrow(outOfTurn);
    await machine.dispose();
    expect(() => open(machine)).toThrow(outOfTurn);
    await expect(machine.startDirtyLog()).rejects.toMatchObject({
      code: "WRONG_STATE",
      message: "The virtual machine is not here any more",
    });
  });
});
