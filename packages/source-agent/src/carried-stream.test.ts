import { PAGE_SIZE } from "@peregrine/shared-state";
import type { CarriedClosing, CarriedOpening, OpaqueSection } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import { mainStream, noRecordings } from "../../protocol/test/fixtures.ts";
import type { CarriedParts } from "./testing/carried-machine.ts";
import { CarriedReader } from "./testing/carried-reader.ts";
import { CarriedReceiver, CarriedSource } from "./testing/carried-source.ts";

const START = 1;
const FOOTER_BYTES = 5;

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

/** Sends a machine that is all here. @returns what came, and its bytes. */
async function send(
  machine: CarriedParts,
  { returnPath }: { readonly returnPath: boolean },
): Promise<{ readonly received: CarriedParts; readonly bytes: Buffer; readonly commands: string[] }> {
  await using source = new CarriedSource(machine);
  await using receiver = await CarriedReceiver.listen({
    footers: machine.opening.footers,
    described: machine.closing.ending.kind === "described",
  });
  source.machine.arrive();
  source.migration.setCapabilities({ "return-path": returnPath });
  source.migration.migrate(receiver.uri);
  expect([await source.ended(), source.migration.error?.message]).toEqual(["completed", undefined]);
  // Without an answer it stays to be sent again.
  expect(source.run.state).toBe(returnPath ? "postmigrate" : "inmigrate");
  const received = await receiver.parts;
  const commands = receiver.reader.commands.map((command) =>
    command.kind === "ping" ? `ping ${command.value}` : command.kind,
  );
  return { received: received!, bytes: receiver.bytes, commands };
}

function expectSame(received: CarriedParts, sent: CarriedParts): void {
  expect({ ...received, memory: [] }).toEqual({ ...sent, memory: [] });
  for (const [block, bytes] of sent.memory.entries()) {
    expect(Buffer.compare(bytes, received.memory[block]!), sent.blocks[block]!.name).toBe(0);
  }
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
    const { received, bytes, commands } = await send(machine, { returnPath: false });
    expectSame(received, machine);
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
    const { received, commands } = await send(machine, { returnPath: true });
    expectSame(received, machine);
    expect(commands).toEqual(["open-return-path", "ping 1", "ping 2"]);
  });

  test("numbers its sections from 1 on", async () => {
    const machine = parts({ early: [section("early", 7, 5)] }, { late: [section("cpu", 0, 8)], ending: end });
    const { bytes } = await send(machine, { returnPath: false });
    const early = "0400000001056561726c790000000700000003057e00000001";
    const ram = "01000000020372616d0000000000000004";
    const cpu = "0400000003036370750000000000000003087e0000000300";
    const hex = bytes.toString("hex");
    const head = 2 * headBytes(machine.opening);
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

describe.skipIf(noRecordings)("a machine of a recording", () => {
  test.each([
    "pc-72",
    "pc-72-dirty",
    "pc-72-xbzrle",
    "pc-72-retpath",
    "pc20-72",
    "pc23-72-dirty",
    "pc-100",
    "pc-100-dirty",
    "pc-100-xbzrle",
    "pc-100-retpath",
  ])("%s goes out framed as it came", async (name) => {
    const recorded = mainStream(name);
    const reader = new CarriedReader(!name.startsWith("pc2"));
    reader.push(recorded);
    const machine = reader.end();
    const { received, bytes } = await send(machine, { returnPath: false });
    expectSame(received, machine);

    const head = headBytes(machine.opening);
    expect(bytes.subarray(0, head)).toEqual(Buffer.from(recorded.subarray(0, head)));
    expect(bytes[head]).toBe(START);
    expect(tail(bytes, machine).equals(tail(recorded, machine))).toBe(true);
  });
});

/** Bytes in front of the first section. */
function headBytes({ configuration }: CarriedOpening): number {
  return 8 + (configuration === undefined ? 0 : 5 + configuration.machineType.length);
}

/** The bytes behind memory, with the sections' ids cleared: they are free to choose. */
function tail(stream: Uint8Array, { opening, closing: { late, ending } }: CarriedParts): Buffer {
  const footer = opening.footers ? FOOTER_BYTES : 0;
  const heads = late.map(({ name }) => 5 + 1 + name.length + 8);
  const sections = late.reduce((sum, { payload }, n) => sum + heads[n]! + payload.length + footer, 0);
  const text = ending.kind === "described" ? 5 + Buffer.byteLength(ending.text) : 0;
  const copy = Buffer.from(
    stream.slice(stream.length - sections - text - (ending.kind === "undivided" ? 0 : 1)),
  );
  let at = 0;
  for (const [n, { payload }] of late.entries()) {
    copy.fill(0, at + 1, at + 5);
    at += heads[n]! + payload.length + footer;
    if (footer > 0) copy.fill(0, at - 4, at);
  }
  return copy;
}
