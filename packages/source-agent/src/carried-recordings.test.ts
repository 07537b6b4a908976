import type { CarriedOpening } from "@peregrine/shared-state";
import { describe, expect, test } from "vitest";
import { mainStream, noRecordings } from "../../protocol/test/fixtures.ts";
import type { CarriedParts } from "./testing/carried-machine.ts";
import { CarriedReader } from "./testing/carried-reader.ts";
import { expectSameMachine, sendCarried } from "./testing/send-carried.ts";

const START = 1;
const FOOTER_BYTES = 5;

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
    const { received, bytes } = await sendCarried(machine, { returnPath: false });
    expectSameMachine(received, machine);

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
