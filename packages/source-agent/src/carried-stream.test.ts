import { PAGE_SIZE } from "@peregrine/shared-state";
import type { CarriedClosing, CarriedOpening, OpaqueSection } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import type { CarriedParts } from "./testing/carried-machine.ts";
import { CarriedSource } from "./testing/carried-source.ts";
import { expectSameMachine, sendCarried } from "./testing/send-carried.ts";
import { ALL_EXTENSIONS, askFor } from "@peregrine/protocol";

const section = (name: string, instance: number, ...payload: number[]): OpaqueSection => ({
  name,
  instance,
  version: 3,
  payload: Uint8Array.from(payload),
});

const OPENING: CarriedOpening = {
  configuration: { machineType: "pc-i440fx-2.4" },
  footers: true,
  early: [],
  uuid: undefined,
};

/** A small machine; every third page is zero. */
function parts(opening: Partial<CarriedOpening>, closing: CarriedClosing): CarriedParts {
  const memory = Buffer.alloc(40 * PAGE_SIZE);
  for (let page = 0; page < 40; page++) memory.fill(page % 3, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
  return {
    opening: { ...OPENING, ...opening },
    closing,
    blocks: [{ name: "pc.ram", length: memory.length }],
    memory: [memory],
  };
}

describe("the stream of a machine that is passed on as it came", () => {
  const late = [section("timer", 0, 1, 2, 3), section("cpu", 1), section("cpu", 2, 9)];
  const end = { kind: "end-mark" } as const;

  test.each([
    {
      name: "has its sections in front of memory and behind it",
      machine: parts({ early: [section("early", 7, 5, 6)] }, { late, ending: end }),
    },
    {
      name: "has a uuid in its configuration",
      machine: parts(
        { configuration: { machineType: "q35", uuid: Uint8Array.from({ length: 16 }, (_, n) => n) } },
        { late, ending: end },
      ),
    },
    {
      name: "has its vmdescription to the letter",
      machine: parts({}, { late, ending: { kind: "described", text: '{ "devices":[ ],"é":1}\n' } }),
    },
    {
      name: "has no configuration, footers and vmdescription",
      machine: parts(
        { configuration: undefined, footers: false },
        { late: [section("timer", 0, 4, 0, 0, 0, 0)], ending: { kind: "undivided" } },
      ),
    },
  ])("$name", async ({ machine }) => {
    const { received, bytes, commands } = await sendCarried(machine, { returnPath: false });
    expectSameMachine(received, machine);
    expect(commands).toEqual([]);
    if (machine.closing.ending.kind !== "described") expect(bytes.at(-1)).toBe(0);
  });

  test("asks for answers first, if there is to be a return path", async () => {
    const devices = late.map(({ name, instance, payload: { length: size } }) => {
      return { name, instance_id: instance, size, fields: [{ name: "data", size, type: "buffer" }] };
    });
    const text = JSON.stringify({ page_size: PAGE_SIZE, devices });
    const ending = { kind: "described", text } as const;
    const machine = parts({ early: [section("early", 7, 5, 6)] }, { late, ending });
    const { received, commands } = await sendCarried(machine, { returnPath: true });
    expectSameMachine(received, machine);
    expect(commands).toEqual([
      "open-return-path",
      "ping 1",
      `ping ${askFor(ALL_EXTENSIONS)}`,
      "ping 2",
      "ping 3",
    ]);
  });

  test("numbers its sections from 1 on", async () => {
    const machine = parts({ early: [section("early", 7, 5)] }, { late: [section("cpu", 0, 8)], ending: end });
    const { bytes } = await sendCarried(machine, { returnPath: false });
    const early = "0400000001056561726c790000000700000003057e00000001";
    const ram = "01000000020372616d0000000000000004";
    const cpu = "0400000003036370750000000000000003087e0000000300";
    const hex = bytes.toString("hex");
    // Magic and version, the configuration's type and length, the machine type.
    const head = 2 * (8 + 5 + "pc-i440fx-2.4".length);
    expect(hex.slice(head, head + early.length + ram.length)).toBe(early + ram);
    expect(hex.slice(-cpu.length - 10)).toBe(`7e00000002${cpu}`);
  });

  test("is refused before the first part of the machine is here", async () => {
    await using source = new CarriedSource(parts({}, { late, ending: end }));
    const refusal = new Error("not here yet");
    source.machine.carried.opening = () => {
      throw refusal;
    };
    expect(() => source.migration.migrate("tcp:127.0.0.1:1")).toThrow(refusal);
    expect([source.migration.status, source.run.state]).toEqual(["none", "inmigrate"]);
  });
});
