import { test } from "vitest";
import { expectRefusal } from "../test/refusal.ts";
import type { Refusal } from "../test/refusal.ts";
import { RAM_ID, writeFull, writeHead, writeRamStart } from "../test/streams.ts";
import { fromHex, Recorder } from "../test/support.ts";
import {
  encodeConfiguration,
  encodeHeader,
  encodeSectionContinuation,
  encodeSectionHeader,
  machineTypeMismatch,
  MAX_RAM_RECORD_BYTES,
  ramBlockSizeMismatch,
  RamPageEncoder,
  unknownRamBlock,
  unknownSection,
  unsupportedSectionVersion,
} from "./index.ts";
import type { ByteWriter, Configuration, PayloadDecoder, SectionHeader } from "./index.ts";

const RAM_BYTES = 0x1000000;

/** A machine that has devices `clock` and `serial`, the latter of version 2, and the RAM block `memory`. */
class LocalMachine extends Recorder {
  override configuration({ machineType }: Configuration): void {
    if (machineType !== "wasm-1") throw machineTypeMismatch(machineType, "wasm-1");
  }

  override open(header: SectionHeader): PayloadDecoder {
    const { name, instance, version } = header;
    if (!["ram", "clock", "serial"].includes(name) || instance > 0) throw unknownSection(name, instance);
    if (name === "serial" && version > 2) throw unsupportedSectionVersion(name, version, 2);
    return super.open(header);
  }

  override blockList(blocks: readonly { name: string; length: number }[]): void {
    for (const { name, length } of blocks) {
      if (name !== "memory") throw unknownRamBlock(name);
      if (length !== RAM_BYTES) throw ramBlockSizeMismatch(name, length, RAM_BYTES);
    }
  }
}

function headerOf(version: number): Refusal["write"] {
  return (w, mark) => {
    w.be32(0x5145564d);
    mark();
    w.be32(version);
  };
}

/** Behind a header, a configuration and a device. */
function afterClock(write: Refusal["write"]): Refusal["write"] {
  return (w, mark) => {
    writeHead(w);
    writeFull(w, 0, "clock", new Uint8Array(3));
    write(w, mark);
  };
}

/** The header of another device. */
function deviceHeader(name: string, instance: number, sectionVersion: number): Refusal["write"] {
  return afterClock((w, mark) => {
    mark();
    encodeSectionHeader(w, { kind: "full", id: 1, name, instance, version: sectionVersion });
  });
}

/** In a PART of `ram`, which follows its list of blocks and a device. */
function inRam(write: (w: ByteWriter, encoder: RamPageEncoder, mark: () => void) => void): Refusal["write"] {
  return (w, mark) => {
    const encoder = new RamPageEncoder();
    writeHead(w);
    writeRamStart(w, encoder, [{ name: "memory", length: RAM_BYTES }]);
    writeFull(w, 0, "clock", new Uint8Array(3));
    encodeSectionContinuation(w, { kind: "part", id: RAM_ID });
    write(w, encoder, mark);
  };
}

/** A list of one RAM block. */
function blockList(name: string, length: number): Refusal["write"] {
  return afterClock((w, mark) => {
    encodeSectionHeader(w, { kind: "start", id: RAM_ID, name: "ram", instance: 0, version: 4 });
    mark();
    w.be64(length + 4);
    w.counted(name);
    w.be64(length);
  });
}

/** A record with a delta, behind another record of its block. */
function delta(hex: string): Refusal["write"] {
  return inRam((w, encoder, mark) => {
    encoder.zeroPage(w, "memory", 0);
    mark();
    w.bytes(fromHex(`0000000000001060${hex}`));
  });
}

/** The section `serial`, and what stands where its footer belongs. */
function serialAndThen(behind: string): Refusal["write"] {
  return afterClock((w, mark) => {
    encodeSectionHeader(w, { kind: "full", id: 0, name: "serial", instance: 0, version: 2 });
    w.be32(0);
    mark();
    w.bytes(fromHex(behind));
  });
}

const UNKNOWN_DEVICE =
  "Make sure that your current VM setup matches your saved VM setup, including any hotplugged devices";
const IN_RAM = { section: "ram", lastGood: "clock" };

/** The rows of section 14 of the wire-format page, in its order. */
const ROWS: Record<string, Refusal> = {
  "bad magic": {
    write: (w) => w.bytes(fromHex("47455420")),
    code: "NOT_A_STREAM",
    text: "Not a migration stream",
  },
  "version 2": {
    write: headerOf(2),
    code: "UNSUPPORTED_VERSION",
    text: "SaveVM v2 format is obsolete and don't work anymore",
  },
  "another version": {
    write: headerOf(4),
    code: "UNSUPPORTED_VERSION",
    text: "Unsupported migration stream version",
  },
  "no configuration": {
    write: (w, mark) => {
      encodeHeader(w);
      mark();
      encodeSectionHeader(w, { kind: "full", id: 0, name: "clock", instance: 0, version: 1 });
    },
    code: "CONFIGURATION_MISSING",
    text: "Configuration section missing",
    section: "configuration",
  },
  "another machine type": {
    write: (w, mark) => {
      encodeHeader(w);
      mark();
      encodeConfiguration(w, { machineType: "pc-i440fx-7.2" });
      w.u8(0);
    },
    code: "MACHINE_TYPE_MISMATCH",
    text: "Machine type received is 'pc-i440fx-7.2' and local is 'wasm-1'",
    section: "configuration",
  },
  "unknown section": {
    write: deviceHeader("vmmouse", 0, 0),
    code: "UNKNOWN_SECTION",
    text: `Unknown savevm section or instance 'vmmouse' 0. ${UNKNOWN_DEVICE}`,
    section: "vmmouse",
    lastGood: "clock",
  },
  "unknown instance": {
    write: deviceHeader("serial", 3, 1),
    code: "UNKNOWN_SECTION",
    text: `Unknown savevm section or instance 'serial' 3. ${UNKNOWN_DEVICE}`,
    section: "serial",
    lastGood: "clock",
  },
  "newer section version": {
    write: deviceHeader("serial", 0, 99),
    code: "UNSUPPORTED_SECTION_VERSION",
    text: "savevm: unsupported version 99 for 'serial' v2",
    section: "serial",
    lastGood: "clock",
  },
  "unknown section type": {
    write: afterClock((w, mark) => {
      mark();
      w.u8(85);
    }),
    code: "BAD_SECTION",
    text: "Unknown savevm section type 85",
    lastGood: "clock",
  },
  "unknown section id": {
    write: afterClock((w, mark) => {
      mark();
      encodeSectionContinuation(w, { kind: "part", id: 77 });
    }),
    code: "UNKNOWN_SECTION",
    text: "Unknown savevm section 77",
    lastGood: "clock",
  },
  "footer of another section": {
    write: serialAndThen("7e00000063"),
    code: "BAD_FOOTER",
    text: "Mismatched section id in footer for serial - read 0x63 expected 0x0",
    section: "serial",
    lastGood: "clock",
  },
  "no footer": {
    write: serialAndThen("00"),
    code: "BAD_FOOTER",
    text: "Missing section footer for serial",
    section: "serial",
    lastGood: "clock",
  },
  "block size": {
    write: blockList("memory", 0x2000000),
    code: "BAD_RAM_BLOCK",
    text: "Size mismatch: memory: 0x2000000 != 0x1000000",
    ...IN_RAM,
  },
  "block name": {
    write: blockList("pc.ram", RAM_BYTES),
    code: "BAD_RAM_BLOCK",
    text: 'Unknown ramblock "pc.ram", cannot accept migration',
    ...IN_RAM,
  },
  "page offset": {
    write: inRam((w, encoder, mark) => {
      mark();
      encoder.zeroPage(w, "memory", 0x7000000);
    }),
    code: "BAD_RAM_PAGE",
    text: "Illegal RAM offset 7000000",
    ...IN_RAM,
  },
  "page flags": {
    write: inRam((w, _encoder, mark) => {
      mark();
      w.be64(0x808);
    }),
    code: "BAD_RAM_PAGE",
    text: "Unknown combination of migration flags: 0x808",
    ...IN_RAM,
  },
  "CONTINUE without a block": {
    write: inRam((w, _encoder, mark) => {
      mark();
      w.be64(0x28);
    }),
    code: "BAD_RAM_PAGE",
    text: "Ack, bad migration stream!",
    ...IN_RAM,
  },
  "delta of another encoding": {
    write: delta("020003"),
    code: "BAD_RAM_PAGE",
    text: "Failed to load XBZRLE page - wrong compression!",
    ...IN_RAM,
  },
  "delta longer than a page": {
    write: delta("011001"),
    code: "BAD_RAM_PAGE",
    text: "Failed to load XBZRLE page - len overflow!",
    ...IN_RAM,
  },
  "broken delta": {
    write: delta("0100020100"),
    code: "BAD_RAM_PAGE",
    text: "Failed to load XBZRLE page - decode error!",
    ...IN_RAM,
  },
  "truncated in a page": {
    write: inRam((w, encoder, mark) => {
      const record = new Uint8Array(MAX_RAM_RECORD_BYTES);
      w.bytes(record.subarray(0, encoder.putPage(record, 0, "memory", 0, new Uint8Array(4096)) - 1));
      mark();
    }),
    code: "TRUNCATED",
    text: "The stream ended where a page of 4096 bytes was expected: Input/output error",
    ...IN_RAM,
  },
  "truncated in the configuration": {
    write: (w, mark) => {
      encodeHeader(w);
      w.bytes(fromHex("07000000067761"));
      mark();
    },
    code: "TRUNCATED",
    text: "The stream ended where the machine type was expected: Input/output error",
    section: "configuration",
  },
  "truncated between sections": {
    write: afterClock((_w, mark) => {
      mark();
    }),
    code: "TRUNCATED",
    text: "The stream ended where a section type was expected: Input/output error",
    lastGood: "clock",
  },
  "truncated in front of a footer": {
    write: serialAndThen(""),
    code: "TRUNCATED",
    text: "The stream ended where the section footer was expected: Input/output error",
    section: "serial",
    lastGood: "clock",
  },
};

test.each(Object.entries(ROWS))("%s", (_input, row) => {
  expectRefusal({ ...row, recorder: (limits) => new LocalMachine(limits) });
});
