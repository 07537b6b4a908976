import type { VmDeviceDescription } from "@peregrine/protocol";
import { expect, test } from "vitest";
import { DESCRIBED, UART } from "../test/small-stream.ts";
import { fieldTree, namedFields } from "./device-fields.ts";

function deviceOf(fields: VmDeviceDescription["fields"]): VmDeviceDescription {
  return { name: "d", instance_id: 0, vmsd_name: "d", version: 1, fields };
}

test("fields have a path, a type and a plain value", () => {
  const fields = [...namedFields(DESCRIBED[0]!, UART.payload)];
  expect(fields.map(({ path, type, value }) => [path, type, value])).toEqual([
    ["divider", "uint16", 0x0102],
    ["fifo[0]", "uint8", 10],
    ["fifo[1]", "uint8", 11],
    ["fifo[2]", "uint8", 12],
    ["line.at", "uint64", "255"],
    ["{x}.on", "bool", true],
  ]);
});

test("structures are objects, elements are arrays, bytes are hex", () => {
  expect(fieldTree(DESCRIBED[0]!, UART.payload)).toEqual({
    divider: 0x0102,
    fifo: [10, 11, 12],
    line: { at: "255" },
    "{x}": { on: true },
  });
  const raw = deviceOf([{ name: "raw", type: "buffer", size: 2 }]);
  expect(fieldTree(raw, Uint8Array.of(0x0a, 0xff))).toEqual({ raw: "0aff" });
});

test("elements that are listed one by one are an array", () => {
  const element = { name: "e", type: "uint8", size: 1 };
  const tree = (fields: VmDeviceDescription["fields"]): unknown =>
    fieldTree(deviceOf(fields), Uint8Array.of(1, 2, 3));
  expect(tree([{ ...element, index: 0 }, { ...element, index: 1 }, element])).toEqual({ e: [1, 2, 3] });
  expect(
    tree([
      { ...element, index: 0 },
      { ...element, array_len: 2 },
    ]),
  ).toEqual({ e: [1, 2, 3] });
  expect(tree([element, { ...element, name: "f" }, element])).toEqual({ e: 1, f: 2, "e (2)": 3 });
});

test("a name is no more than a name", () => {
  const device = deviceOf([{ name: "__proto__", type: "uint8", size: 1 }]);
  expect(JSON.stringify(fieldTree(device, Uint8Array.of(7)))).toBe('{"__proto__":7}');
});

test("a run of elements without bytes is an empty array", () => {
  const device = deviceOf([
    { name: "none", type: "buffer", size: 0, array_len: 2 ** 50 },
    { name: "a", type: "uint8", size: 1 },
  ]);
  expect(fieldTree(device, Uint8Array.of(7))).toEqual({ none: [], a: 7 });
});

test("a description that does not fit makes no tree", () => {
  const nothing = { vmsd_name: "s", version: 1, fields: [] };
  for (const device of [
    deviceOf([{ name: "a", type: "uint8", size: 1, array_len: 2 ** 50 }]),
    deviceOf([{ name: "s", type: "struct", size: 4, array_len: 2 ** 50, struct: nothing }]),
    deviceOf([]),
  ]) {
    expect(() => fieldTree(device, Uint8Array.of(7))).toThrow(/does not fit/u);
  }
});

test("a device with more fields than can be held is refused", () => {
  const device = deviceOf([{ name: "a", type: "uint8", size: 1, array_len: 2 ** 20 + 1 }]);
  expect(() => fieldTree(device, new Uint8Array(2 ** 20 + 1))).toThrow(/more than the limit of 1048576/u);
});
