import { DEFAULT_LIMITS, encodeFooter } from "@peregrine/protocol";
import { beforeAll, describe, expect, test } from "vitest";
import { feed, keptOpen } from "../test/in-process.ts";
import { SMALL, stoppedSource } from "../test/machines.ts";
import { expectRefusal } from "../test/refusal.ts";
import type { Refusal } from "../test/refusal.ts";
import {
  bytesOf,
  configuration,
  deviceSection,
  fullSection,
  ramPart,
  ramStart,
  TestStream,
} from "../test/stream-maker.ts";

let stream: TestStream;
let layout: Uint8Array;

beforeAll(async () => {
  const { machine } = await stoppedSource(SMALL);
  stream = await TestStream.of(machine);
  layout = stream.bytesOf("test-layout");
});

const EMPTY = new Uint8Array(0);
const BLOCKS = [
  { name: "test.ram", length: 8 * 4096 },
  { name: "test.rom", length: 4096 },
];

test("device sections are bounded in all, whatever is allowed for each", async () => {
  const devices = ["test-layout", "test-guest", "globalstate"].map((name) => stream.bytesOf(name).length);
  const least = Math.max(...devices);
  const limits = { ...DEFAULT_LIMITS, maxDeviceBytes: least };
  const { error } = await feed({ chunks: [stream.bytes], limits });
  expect(error?.code).toBe("LIMIT_EXCEEDED");
  expect(error?.message).toMatch(
    new RegExp(`bytes of device sections are more than the limit of ${least}`, "u"),
  );
});

describe("the envelope", () => {
  test.each<[string, () => TestStream, Refusal]>([
    [
      "garbage",
      () => stream.with("header", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")),
      { code: "NOT_A_STREAM", text: "Not a migration stream", at: ["header", 0] },
    ],
    [
      "version 2",
      () => stream.with("header", Uint8Array.of(0x51, 0x45, 0x56, 0x4d, 0, 0, 0, 2)),
      {
        code: "UNSUPPORTED_VERSION",
        text: "SaveVM v2 format is obsolete and don't work anymore",
        at: ["header", 4],
      },
    ],
    [
      "no configuration",
      () => stream.without("configuration"),
      { code: "CONFIGURATION_MISSING", text: "Configuration section missing", at: ["open-return-path", 0] },
    ],
    [
      "another machine",
      () => stream.with("configuration", configuration("pc-i440fx-7.2")),
      {
        code: "MACHINE_TYPE_MISMATCH",
        text: "Machine type received is 'pc-i440fx-7.2' and local is 'test-1' (section 'configuration', byte 8",
        at: ["configuration", 0],
      },
    ],
    [
      "another page size",
      () => stream.with("configuration", configuration("test-1", { targetPageBits: 16 })),
      { code: "BAD_SECTION", text: "Page size received is 2^16 bytes and local is 2^12" },
    ],
    [
      "a capability",
      () => stream.with("configuration", configuration("test-1", { capabilities: ["x-ignore-shared"] })),
      { code: "BAD_SECTION", text: "Capability 'x-ignore-shared' is on at the source, but not here" },
    ],
    [
      "an unknown section type",
      () => stream.before("ram-end", Uint8Array.of(85)),
      { code: "BAD_SECTION", text: "Unknown savevm section type 85", at: ["added", 0] },
    ],
    [
      "an unknown section id",
      () =>
        stream.with(
          "ram-end",
          ramPart("end", () => {}, 77),
        ),
      { code: "UNKNOWN_SECTION", text: "Unknown savevm section 77", at: ["ram-end", 0] },
    ],
    [
      "data after the vmdescription",
      () => stream.after("vmdescription", Uint8Array.of(0)),
      { code: "UNEXPECTED_DATA", text: "Unexpected data after the vmdescription", at: ["added", 0] },
    ],
    [
      "data after the end mark",
      () => stream.with("vmdescription", Uint8Array.of(8)),
      { code: "UNEXPECTED_DATA", text: "Unexpected data after the end mark", at: ["vmdescription", 0] },
    ],
  ])("%s", async (_, changed, refusal) => {
    await expectRefusal(changed(), refusal);
  });
});

describe("sections", () => {
  const device = { id: 9, name: "test-guest", instance: 0, version: 1 };
  test.each<[string, () => TestStream, Refusal]>([
    [
      "an unknown one",
      () => stream.before("test-guest", fullSection({ ...device, name: "vmmouse" }, EMPTY)),
      {
        code: "UNKNOWN_SECTION",
        text:
          "Unknown savevm section or instance 'vmmouse' 0. Make sure that your current VM setup matches your " +
          "saved VM setup, including any hotplugged devices",
        at: ["added", 0],
        section: "vmmouse",
      },
    ],
    [
      "an unknown instance",
      () => stream.before("test-guest", fullSection({ ...device, instance: 3 }, EMPTY)),
      { code: "UNKNOWN_SECTION", text: "Unknown savevm section or instance 'test-guest' 3." },
    ],
    [
      "an unknown instance of ram",
      () => stream.with("ram-start", ramStart(BLOCKS, { instance: 1 })),
      { code: "UNKNOWN_SECTION", text: "Unknown savevm section or instance 'ram' 1." },
    ],
    [
      "a newer version",
      () => stream.with("test-guest", fullSection({ ...device, version: 99 }, EMPTY)),
      {
        code: "UNSUPPORTED_SECTION_VERSION",
        text: "savevm: unsupported version 99 for 'test-guest' v1",
        at: ["test-guest", 0],
        section: "test-guest",
      },
    ],
    [
      "a newer version of ram",
      () => stream.with("ram-start", ramStart(BLOCKS, { version: 5 })),
      { code: "UNSUPPORTED_SECTION_VERSION", text: "savevm: unsupported version 5 for 'ram' v4" },
    ],
    [
      "a footer of another section",
      () => {
        const bytes = stream.bytesOf("test-guest").slice();
        bytes[bytes.length - 1] = 0x63;
        return stream.with("test-guest", bytes);
      },
      {
        code: "BAD_FOOTER",
        text: "Mismatched section id in footer for test-guest - read 0x63 expected 0xa",
        section: "test-guest",
      },
    ],
    [
      "no footer",
      () => stream.with("test-guest", stream.bytesOf("test-guest").slice(0, -5)),
      { code: "BAD_FOOTER", text: "Missing section footer for test-guest" },
    ],
    [
      "ram before an early device",
      () => stream.without("test-layout"),
      {
        code: "BAD_SECTION_ORDER",
        text: "Section 'ram' came before 'test-layout'",
        at: ["ram-start", 0],
        section: "ram",
      },
    ],
    [
      "ram started twice",
      () => stream.before("ram-end", ramStart(BLOCKS, { id: 2 })),
      { code: "BAD_SECTION_ORDER", text: "Section 'ram' was started twice", at: ["added", 0] },
    ],
    [
      "ram started again after its end",
      () => stream.after("ram-end", ramStart(BLOCKS, { id: 2 })),
      { code: "BAD_SECTION_ORDER", text: "Section 'ram' was started twice", at: ["added", 0] },
    ],
    [
      "ram in one piece",
      () => stream.with("ram-start", ramStart(BLOCKS, { kind: "full" })),
      { code: "BAD_SECTION_ORDER", text: "Section 'ram' came in one piece instead of by START" },
    ],
    [
      "a device by START",
      () => stream.with("test-guest", fullSection({ ...device, kind: "start" }, EMPTY)),
      { code: "BAD_SECTION_ORDER", text: "Section 'test-guest' came by START instead of in one piece" },
    ],
    [
      "an early device twice",
      () => stream.after("test-layout", layout),
      { code: "BAD_SECTION_ORDER", text: "Section 'test-layout' 0 came twice", at: ["added", 0] },
    ],
    [
      "a late device twice",
      () => stream.after("test-guest", stream.bytesOf("test-guest")),
      { code: "BAD_SECTION_ORDER", text: "Section 'test-guest' 0 came twice", at: ["added", 0] },
    ],
    [
      "a late device while ram is still being sent",
      () => stream.before("ram-end", stream.bytesOf("test-guest")).without("test-guest"),
      {
        code: "BAD_SECTION_ORDER",
        text: "Section 'test-guest' came before the end of section 'ram'",
        at: ["added", 0],
      },
    ],
    [
      "a late device that never comes",
      () => stream.without("test-guest"),
      {
        code: "BAD_SECTION_ORDER",
        text: "The stream ended without section 'test-guest'",
        at: ["end-mark", 0],
      },
    ],
    [
      "no early device at all",
      () =>
        new TestStream(
          stream.pieces.filter(({ name }) => ["header", "configuration", "end-mark"].includes(name)),
        ),
      { code: "BAD_SECTION_ORDER", text: "The stream ended without section 'test-layout'" },
    ],
    [
      "no ram",
      () =>
        stream
          .without("ram-start")
          .without("ram-part")
          .without("ram-end")
          .without("test-guest")
          .without("globalstate"),
      { code: "BAD_SECTION_ORDER", text: "The stream ended without section 'ram'" },
    ],
    [
      "ram without its END",
      () => stream.without("ram-end").without("test-guest").without("globalstate"),
      { code: "BAD_SECTION_ORDER", text: "The stream ended without section 'ram' END" },
    ],
  ])("%s", async (_, changed, refusal) => {
    await expectRefusal(changed(), refusal);
  });

  test("a device that refuses its state", async () => {
    const bad = fullSection({ id: 9, name: "globalstate", instance: 0, version: 1 }, new Uint8Array(104));
    const fed = await feed({ chunks: keptOpen(stream.with("globalstate", bad).bytes) });
    expect(fed.error).toMatchObject({ code: "DEVICE_STATE", section: "globalstate" });
    expect(fed.error?.message).toContain("The device 'globalstate' 0 could not load its state: ");
    expect(fed.committed).toBe(false);
  });
});

test("a footer alone is no section", async () => {
  const footer = bytesOf((w) => {
    encodeFooter(w, 1);
  });
  await expectRefusal(stream.before("ram-end", footer), {
    code: "BAD_SECTION",
    text: "Unknown savevm section type 126",
  });
});

test("a section that only looks like a device of the source", async () => {
  const { machine } = await stoppedSource(SMALL);
  const [saved] = await machine.devices.saveAll("early");
  const huge = { ...saved!, payload: saved!.payload.slice() };
  huge.payload[4] = 255;
  await expectRefusal(stream.with("test-layout", deviceSection(huge)), {
    code: "LIMIT_EXCEEDED",
    text: "the length 255 of 'test-layout.blocks' is more than the limit of 16",
    section: "test-layout",
  });
});
