import { expect, test } from "vitest";
import { smallStream, writeFull, writeHead, writeRamStart } from "../test/streams.ts";
import { Recorder, refusal, written } from "../test/support.ts";
import {
  DEFAULT_LIMITS,
  encodeConfiguration,
  encodeEndMark,
  encodeHeader,
  encodeSectionHeader,
  machineTypeMismatch,
  ramBlockSizeMismatch,
  RamPageEncoder,
  StreamDecoder,
  unknownRamBlock,
  unknownSection,
  unsupportedSectionVersion,
} from "./index.ts";
import type { ByteWriter, Configuration, MigrationError, PayloadDecoder, SectionHeader } from "./index.ts";

class LocalMachine extends Recorder {
  override configuration({ machineType }: Configuration): void {
    if (machineType !== "wasm-1") throw machineTypeMismatch(machineType, "wasm-1");
  }

  override open(header: SectionHeader): PayloadDecoder {
    if (header.name === "vmmouse") throw unknownSection(header.name, header.instance);
    if (header.name === "serial" && header.version > 2) {
      throw unsupportedSectionVersion(header.name, header.version, 2);
    }
    return super.open(header);
  }

  override blockList(blocks: readonly { name: string; length: number }[]): void {
    for (const { name, length } of blocks) {
      if (name !== "memory") throw unknownRamBlock(name);
      if (length !== 0x1000000) throw ramBlockSizeMismatch(name, length, 0x1000000);
    }
  }
}

function refusedBy(write: (w: ByteWriter) => void): MigrationError {
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: new LocalMachine(DEFAULT_LIMITS) });
  return refusal(() => decoder.push(written(write)));
}

test("another machine type", () => {
  const error = refusedBy((w) => {
    encodeHeader(w);
    encodeConfiguration(w, { machineType: "pc" });
    encodeEndMark(w);
  });
  expect(error.serialize()).toEqual({
    code: "MACHINE_TYPE_MISMATCH",
    message: "Machine type received is 'pc' and local is 'wasm-1' (section 'configuration', byte 8)",
    offset: 8,
    section: "configuration",
  });
});

test("an unknown section", () => {
  const error = refusedBy((w) => {
    writeHead(w);
    encodeSectionHeader(w, { kind: "full", id: 1, name: "vmmouse", instance: 3, version: 0 });
  });
  expect(error.serialize()).toEqual({
    code: "UNKNOWN_SECTION",
    message:
      "Unknown savevm section or instance 'vmmouse' 3. Make sure that your current VM setup matches your saved VM setup, " +
      "including any hotplugged devices (section 'vmmouse', byte 19, last good section 'configuration')",
    offset: 19,
    section: "vmmouse",
    lastGoodSection: "configuration",
  });
});

test("a newer section version", () => {
  let offset = 0;
  const error = refusedBy((w) => {
    writeHead(w);
    writeFull(w, 1, "clock", new Uint8Array(0));
    offset = w.length;
    encodeSectionHeader(w, { kind: "full", id: 2, name: "serial", instance: 0, version: 99 });
  });
  expect(error.serialize()).toEqual({
    code: "UNSUPPORTED_SECTION_VERSION",
    message:
      "savevm: unsupported version 99 for 'serial' v2 " +
      `(section 'serial', byte ${offset}, last good section 'clock')`,
    offset,
    section: "serial",
    lastGoodSection: "clock",
  });
});

test.each([
  ["memory", "Size mismatch: memory: 0x2000000 != 0x1000000"],
  ["other", 'Unknown ramblock "other", cannot accept migration'],
])("a RAM block that does not fit: %s", (name, text) => {
  const error = refusedBy((w) => {
    writeHead(w);
    writeRamStart(w, new RamPageEncoder(), [{ name, length: 0x2000000 }]);
  });
  expect(error).toMatchObject({ code: "BAD_RAM_BLOCK", section: "ram", lastGoodSection: "configuration" });
  expect(error.message.startsWith(`${text} (section 'ram', byte `)).toBe(true);
});

test("an error that is not a MigrationError passes as it is, and again on every later call", () => {
  const marker = new Error("a defect");
  const handler = new Recorder(DEFAULT_LIMITS);
  handler.endMark = () => {
    throw marker;
  };
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
  expect(() => decoder.push(smallStream())).toThrow(marker);
  expect(() => decoder.push(smallStream())).toThrow(marker);
  expect(() => decoder.end()).toThrow(marker);
});
