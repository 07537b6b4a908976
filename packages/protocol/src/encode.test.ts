import { expect, test } from "vitest";
import golden from "../test/golden/wire.json" with { type: "json" };
import { fromHex, refusal, toHex, written } from "../test/support.ts";
import {
  ByteWriter,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockList,
  encodeReturnMessage,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescription,
  MAX_RAM_RECORD_BYTES,
  RamPageEncoder,
  WIRE_PAGE_SIZE,
} from "./index.ts";

const MACHINE = "pc-i440fx-7.2";

const CASES: Record<string, readonly [hex: string, write: (w: ByteWriter) => void]> = {
  "stream header": [golden.header, encodeHeader],
  configuration: [golden.configuration, (w) => encodeConfiguration(w, { machineType: MACHINE })],
  "configuration with every subsection": [
    golden.configuration + golden.targetPageBits + golden.capabilities + golden.uuid,
    (w) =>
      encodeConfiguration(w, {
        machineType: MACHINE,
        targetPageBits: 14,
        capabilities: ["mapped-ram"],
        uuid: fromHex("000102030405060708090a0b0c0d0e0f"),
      }),
  ],
  "START header": [
    golden.ramStartHeader,
    (w) => encodeSectionHeader(w, { kind: "start", id: 2, name: "ram", instance: 0, version: 4 }),
  ],
  "PART header": [golden.ramPartHeader, (w) => encodeSectionContinuation(w, { kind: "part", id: 2 })],
  "END header": [golden.ramEndHeader, (w) => encodeSectionContinuation(w, { kind: "end", id: 2 })],
  footer: [golden.ramFooter, (w) => encodeFooter(w, 2)],
  "RAM block list": [
    golden.ramBlockList,
    (w) =>
      encodeRamBlockList(w, [
        { name: "pc.ram", length: 0x1000000 },
        { name: "/rom@etc/acpi/tables", length: 0x20000 },
        { name: "pc.bios", length: 0x40000 },
        { name: "pc.rom", length: 0x20000 },
        { name: "/rom@etc/table-loader", length: 0x1000 },
        { name: "/rom@etc/acpi/rsdp", length: 0x1000 },
      ]),
  ],
  OPEN_RETURN_PATH: [golden.openReturnPath, (w) => encodeCommand(w, { kind: "open-return-path" })],
  "PING 1": [golden.ping1, (w) => encodeCommand(w, { kind: "ping", value: 1 })],
  "a command without a shape": [
    golden.switchoverStart,
    (w) => encodeCommand(w, { kind: "other", code: 11, payload: new Uint8Array(0) }),
  ],
  "end mark": [golden.endMark, encodeEndMark],
  vmdescription: [golden.vmDescription, (w) => encodeVmDescription(w, { page_size: 4096, devices: [] })],
  "PONG 1 and SHUT 0": [
    golden.returnPath,
    (w) => {
      encodeReturnMessage(w, { kind: "pong", value: 1 });
      encodeReturnMessage(w, { kind: "shut", status: 0 });
    },
  ],
};

test.each(Object.entries(CASES))("%s", (_name, [hex, write]) => {
  expect(toHex(written(write))).toBe(hex);
});

test("page records name a block once and then continue it", () => {
  const encoder = new RamPageEncoder();
  const page = new Uint8Array(WIRE_PAGE_SIZE).fill(0x5a);
  const bytes = written((w) => {
    encoder.page(w, "pc.ram", 0, page);
    encoder.page(w, "pc.ram", 0x1000, page);
    encoder.zeroPage(w, "pc.ram", 0x3000);
    encoder.endOfSection(w);
  });
  const pageHex = toHex(page);
  expect(toHex(bytes)).toBe(
    golden.pageRecordStart +
      pageHex +
      golden.pageRecordContinued +
      pageHex +
      golden.zeroRecordContinued +
      golden.endOfSection,
  );
  const zeroFirst = new RamPageEncoder();
  expect(toHex(written((w) => zeroFirst.zeroPage(w, "pc.ram", 0x2000)))).toBe(golden.zeroRecord);
});

test("records are put straight into a caller's buffer", () => {
  const name = "n".repeat(255);
  const target = new Uint8Array(MAX_RAM_RECORD_BYTES);
  const encoder = new RamPageEncoder();
  const page = new Uint8Array(WIRE_PAGE_SIZE).fill(1);
  expect(encoder.headerBytes(name)).toBe(8 + 256);
  expect(encoder.putPage(target, 0, name, 0, page)).toBe(8 + 256 + WIRE_PAGE_SIZE);
  expect(encoder.headerBytes(name)).toBe(8);
  expect(encoder.putPageHeader(target, 8, name, 2 ** 40 + 0x1000)).toBe(16);
  expect(toHex(target.subarray(8, 16))).toBe("0000010000001028");
});

test("what does not fit the format is refused before it is sent", () => {
  const w = new ByteWriter();
  const encoder = new RamPageEncoder();
  const page = new Uint8Array(WIRE_PAGE_SIZE);
  const mistakes: readonly (() => void)[] = [
    () => w.u8(256),
    () => w.be16(-1),
    () => w.be32(2 ** 32),
    () => w.be64(2 ** 53),
    () => w.be64(0.5),
    () => w.counted("é".repeat(128)),
    () => w.advance(1e9),
    () => encoder.page(w, "ram", 1, page),
    () => encoder.page(w, "ram", -4096, page),
    () => encoder.page(w, "ram", 0, page.subarray(1)),
    () => encoder.zeroPage(w, "n".repeat(256), 0),
    () => encoder.putZeroPage(new Uint8Array(4), 0, "ram", 0),
    () => encodeRamBlockList(w, [{ name: "odd", length: 100 }]),
    () => encodeRamBlockList(w, [{ name: "empty", length: 0 }]),
    () => encodeConfiguration(w, { machineType: "pc", uuid: new Uint8Array(15) }),
  ];
  for (const mistake of mistakes) expect(refusal(mistake).code).toBe("INTERNAL");
});
