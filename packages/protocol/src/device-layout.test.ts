import { describe, expect, test } from "vitest";
import { DESCRIPTION, RTC, UART } from "../test/described.ts";
import { fromHex, refusal } from "../test/support.ts";
import { deviceBytes, deviceValue, parseVmDescription, walkDevice } from "./index.ts";
import type { VmDeviceDescription } from "./index.ts";

const [uart, rtc] = DESCRIPTION.devices as [VmDeviceDescription, VmDeviceDescription];

test("the length of a payload", () => {
  expect(deviceBytes(uart)).toBe(UART.length);
  expect(deviceBytes(rtc)).toBe(RTC.length);
});

test("every field, with its place and value", () => {
  const fields = [...walkDevice(uart, UART)].map((field) => [
    field.path,
    field.offset,
    field.type,
    deviceValue(field, UART),
  ]);
  expect(fields).toEqual([
    ["divider", 0, "uint16", 0x0102],
    ["fifo[0]", 2, "uint8", 10],
    ["fifo[1]", 3, "uint8", 11],
    ["fifo[2]", 4, "uint8", 12],
    ["timer[0]", 5, "int64", 255n],
    ["timer[1]", 13, "int64", -1n],
    ["line.level", 21, "int32 le", -3],
    ["line.{l}.on", 32, "bool", true],
    ["pin[0].a", 33, "bool", true],
    ["pin[0].b", 34, "uint8 equal", 7],
    ["pin[1].a", 35, "bool", false],
    ["pin[1].b", 36, "uint8 equal", 8],
    ["{uart/x}.raw", 49, "buffer", Uint8Array.of(0xbe, 0xef)],
  ]);
});

test("elements of one name that are listed one after the other are numbered on", () => {
  const element = { name: "bus", type: "uint8", size: 1 };
  const device: VmDeviceDescription = {
    name: "ide",
    instance_id: 0,
    size: 6,
    fields: [
      { ...element, index: 4 },
      element,
      { ...element, array_len: 2 },
      element,
      { ...element, name: "bus2" },
    ],
  };
  expect([...walkDevice(device, new Uint8Array(6))].map(({ path }) => path)).toEqual([
    "bus[4]",
    "bus[5]",
    "bus[6]",
    "bus[7]",
    "bus[8]",
    "bus2",
  ]);
});

test.each([
  ["bool", "02", true],
  ["bool", "0001", fromHex("0001")],
  ["int8", "ff", -1],
  ["uint8", "ff", 255],
  ["int16", "fffe", -2],
  ["uint16 le", "feff", 0xfffe],
  ["int32 equal", "fffffffd", -3],
  ["uint32", "fffffffd", 0xffff_fffd],
  ["int64 le", "fcffffffffffffff", -4n],
  ["uint64", "fffffffffffffffc", 0xffff_ffff_ffff_fffcn],
  ["uint32", "ffff", fromHex("ffff")],
  ["timer", "0000000000000001", fromHex("0000000000000001")],
])("a field of type %s with bytes %s", (type, hex, value) => {
  const payload = fromHex(`aa${hex}aa`);
  expect(deviceValue({ offset: 1, size: payload.length - 2, type }, payload)).toEqual(value);
});

describe("a payload that the description does not fit", () => {
  const walk = (payload: Uint8Array, device = uart) => refusal(() => [...walkDevice(device, payload)]);

  test("too short, at every length", () => {
    for (let length = 0; length < UART.length; length += 1) {
      expect(walk(UART.subarray(0, length))).toMatchObject({ code: "BAD_SECTION", section: "uart" });
    }
    expect(walk(UART.subarray(0, 3)).message).toBe(
      "The vmdescription does not fit: 'fifo[1]' has 1 bytes where 0 are left",
    );
  });

  test("too long", () => {
    expect(walk(Uint8Array.of(...UART, 0)).message).toBe(
      "The vmdescription does not fit: 'uart' leaves 1 bytes",
    );
  });

  test.each([25, 26, 27, 31, 38, 40, 48])("another subsection: byte %i", (at) => {
    const payload = UART.slice();
    payload[at]! ^= 0x80;
    expect(walk(payload)).toMatchObject({
      code: "BAD_SECTION",
      message: expect.stringContaining("is not the subsection at byte"),
    });
  });

  test("fields without bytes in every element of an array", () => {
    const nothing = { name: "n", type: "buffer", size: 0 };
    const fields = [...Array.from({ length: 100 }, () => nothing), { name: "a", type: "uint8", size: 1 }];
    const struct = { vmsd_name: "s", version: 1, fields };
    const device = (elements: number): VmDeviceDescription => ({
      name: "d",
      instance_id: 0,
      vmsd_name: "d",
      version: 1,
      fields: [{ name: "s", type: "struct", size: 1, array_len: elements, struct }],
    });
    expect([...walkDevice(device(655), new Uint8Array(655))]).toHaveLength(655 * 101);
    expect(walk(new Uint8Array(1_000_000), device(1_000_000)).message).toBe(
      "The vmdescription does not fit: 's[655].n[36]' is one of more than 65536 fields without bytes",
    );
  });

  test("a structure of another size than its field", () => {
    const device: VmDeviceDescription = {
      name: "d",
      instance_id: 0,
      vmsd_name: "d",
      version: 1,
      fields: [
        {
          name: "s",
          type: "struct",
          size: 2,
          struct: { vmsd_name: "s", version: 1, fields: [{ name: "a", type: "uint8", size: 1 }] },
        },
      ],
    };
    expect(walk(new Uint8Array(2), device).message).toBe(
      "The vmdescription does not fit: 's' has 2 bytes and a structure of 1",
    );
  });
});

describe("a vmdescription", () => {
  test("comes back as it was", () => {
    expect(parseVmDescription(JSON.stringify(DESCRIPTION))).toEqual(DESCRIPTION);
  });

  const field = (more: string) =>
    `{"page_size":1,"devices":[{"name":"d","instance_id":0,"vmsd_name":"d","version":1,"fields":[${more}]}]}`;
  const deep = (levels: number): string =>
    levels === 0
      ? '{"name":"f","type":"bool","size":1}'
      : `{"name":"f","type":"struct","size":1,"struct":{"vmsd_name":"s","version":1,"fields":[${deep(levels - 1)}]}}`;

  test("more objects than a description of that length can have are not parsed", () => {
    const empty = (count: number) => `{"page_size":1,"devices":[],"x":[${"{},".repeat(count)}0]}`;
    expect(parseVmDescription(empty(70)).devices).toEqual([]);
    expect(refusal(() => parseVmDescription(empty(1_000_000)))).toMatchObject({
      code: "BAD_SECTION",
      message: "The vmdescription is malformed: it has 1000003 objects and lists in 3000036 characters",
      section: "vmdescription",
    });
  });

  test("32 levels of structures are allowed", () => {
    expect(parseVmDescription(field(deep(32))).devices).toHaveLength(1);
  });

  test.each([
    ["{", "The vmdescription is not valid JSON"],
    ["[]", "The vmdescription is malformed: it is not an object"],
    ['{"page_size":1}', "The vmdescription is malformed: it has no list 'devices'"],
    ['{"page_size":-1,"devices":[]}', "The vmdescription is malformed: it has no count 'page_size'"],
    ['{"page_size":1,"devices":[1]}', "The vmdescription is malformed: device 0 is not an object"],
    [
      '{"page_size":1,"devices":[{"name":"d","instance_id":0,"fields":[]}]}',
      "The vmdescription is malformed: d has no count 'size'",
    ],
    [field('{"name":"f","size":1}'), "The vmdescription is malformed: d.f has no text 'type'"],
    [
      field('{"name":"f","type":"bool","size":1.5}'),
      "The vmdescription is malformed: d.f has no count 'size'",
    ],
    [
      field('{"name":"f","type":"bool","size":1,"array_len":"x"}'),
      "The vmdescription is malformed: d.f has no count 'array_len'",
    ],
    [field(deep(33)), expect.stringContaining("is nested more than 32 levels deep")],
  ])("%s is refused", (text, message) => {
    expect(refusal(() => parseVmDescription(text))).toMatchObject({
      code: "BAD_SECTION",
      message,
      section: "vmdescription",
    });
  });
});
