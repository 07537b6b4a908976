import { test } from "vitest";
import golden from "../test/golden/wire.json" with { type: "json" };
import { expectRefusal } from "../test/refusal.ts";
import type { Refusal } from "../test/refusal.ts";
import { SMALL_BLOCKS, smallStream, writeHead, writeRamSection, writeRamStart } from "../test/streams.ts";
import { fromHex } from "../test/support.ts";
import {
  encodeConfiguration,
  encodeEndMark,
  encodeHeader,
  encodeSectionContinuation,
  encodeSectionHeader,
  RamPageEncoder,
} from "./index.ts";
import type { ByteWriter } from "./index.ts";

function full(write: (w: ByteWriter) => void): Refusal["write"] {
  return (w, mark) => {
    writeHead(w);
    encodeSectionHeader(w, { kind: "full", id: 0, name: "serial", instance: 0, version: 1 });
    w.be32(0);
    mark();
    write(w);
  };
}

const CASES: Record<string, Refusal> = {
  "bad magic": {
    write: (w) => w.bytes(fromHex("47455420")),
    code: "NOT_A_STREAM",
    text: "Not a migration stream",
  },
  "version 2": {
    write: (w, mark) => {
      w.be32(0x5145564d);
      mark();
      w.be32(2);
    },
    code: "UNSUPPORTED_VERSION",
    text: "SaveVM v2 format is obsolete and don't work anymore",
  },
  "version 4": {
    write: (w, mark) => {
      w.be32(0x5145564d);
      mark();
      w.be32(4);
    },
    code: "UNSUPPORTED_VERSION",
    text: "Unsupported migration stream version",
  },
  "no configuration": {
    write: (w, mark) => {
      encodeHeader(w);
      mark();
      w.u8(1);
    },
    code: "CONFIGURATION_MISSING",
    text: "Configuration section missing",
    section: "configuration",
  },
  "a machine type above its limit": {
    write: (w, mark) => {
      encodeHeader(w);
      w.u8(7);
      mark();
      w.be32(0xffff_ffff);
    },
    code: "LIMIT_EXCEEDED",
    text: "4294967295 bytes of machine type are more than the limit of 255",
    section: "configuration",
  },
  "a machine type that is not text": {
    write: (w, mark) => {
      encodeHeader(w);
      mark();
      w.u8(7);
      w.be32(1);
      w.u8(0xff);
    },
    code: "BAD_SECTION",
    text: "the machine type is not valid UTF-8",
    section: "configuration",
  },
  "too many capabilities": {
    write: (w, mark) => {
      writeHead(w);
      w.bytes(fromHex(golden.capabilities.slice(0, 64)));
      mark();
      w.be32(65);
    },
    code: "LIMIT_EXCEEDED",
    text: "65 capabilities are more than the limit of 64",
    section: "configuration",
  },
  "an unknown configuration subsection": {
    write: (w, mark) => {
      writeHead(w);
      w.u8(5);
      mark();
      w.counted("configuration/other");
      w.be32(1);
    },
    code: "BAD_SECTION",
    text: "Unknown configuration subsection 'configuration/other'",
    section: "configuration",
  },
  "a newer configuration subsection": {
    write: (w, mark) => {
      writeHead(w);
      w.u8(5);
      mark();
      w.counted("configuration/uuid");
      w.be32(2);
    },
    code: "UNSUPPORTED_SECTION_VERSION",
    text: "savevm: unsupported version 2 for 'configuration/uuid' v1",
    section: "configuration",
  },
  "a configuration subsection twice": {
    write: (w, mark) => {
      encodeHeader(w);
      encodeConfiguration(w, { machineType: "wasm-1", targetPageBits: 14 });
      w.u8(5);
      mark();
      w.bytes(fromHex(golden.targetPageBits).subarray(1));
    },
    code: "BAD_SECTION",
    text: "The configuration subsection 'configuration/target-page-bits' came twice",
    section: "configuration",
  },
  "an unknown section type": {
    write: (w, mark) => {
      writeHead(w);
      mark();
      w.u8(85);
    },
    code: "BAD_SECTION",
    text: "Unknown savevm section type 85",
    lastGood: "configuration",
  },
  "an unknown section id": {
    write: (w, mark) => {
      writeHead(w);
      mark();
      encodeSectionContinuation(w, { kind: "part", id: 77 });
    },
    code: "UNKNOWN_SECTION",
    text: "Unknown savevm section 77",
    lastGood: "configuration",
  },
  "a PART after its END": {
    write: (w, mark) => {
      const encoder = new RamPageEncoder();
      writeHead(w);
      writeRamStart(w, encoder, SMALL_BLOCKS);
      writeRamSection(w, encoder, "end");
      mark();
      writeRamSection(w, encoder, "part");
    },
    code: "UNKNOWN_SECTION",
    text: "Unknown savevm section 2",
    lastGood: "ram",
  },
  "a section id started twice": {
    write: (w, mark) => {
      const encoder = new RamPageEncoder();
      writeHead(w);
      writeRamStart(w, encoder, SMALL_BLOCKS);
      mark();
      writeRamStart(w, encoder, SMALL_BLOCKS);
    },
    code: "BAD_SECTION",
    text: "Section 2 was started twice",
    section: "ram",
    lastGood: "ram",
  },
  "too many open sections": {
    write: (w, mark) => {
      writeHead(w);
      writeRamStart(w, new RamPageEncoder(), SMALL_BLOCKS);
      mark();
      encodeSectionHeader(w, { kind: "start", id: 3, name: "block", instance: 0, version: 1 });
    },
    code: "LIMIT_EXCEEDED",
    text: "2 open sections are more than the limit of 1",
    section: "block",
    lastGood: "ram",
    limits: { maxOpenSections: 1 },
  },
  "a footer with another id": {
    write: full((w) => w.bytes(fromHex("7e00000063"))),
    code: "BAD_FOOTER",
    text: "Mismatched section id in footer for serial - read 0x63 expected 0x0",
    section: "serial",
    lastGood: "configuration",
  },
  "no footer": {
    write: full((w) => w.u8(0)),
    code: "BAD_FOOTER",
    text: "Missing section footer for serial",
    section: "serial",
    lastGood: "configuration",
  },
  "a PING of 2 bytes": {
    write: (w, mark) => {
      writeHead(w);
      mark();
      w.bytes(fromHex("08000200020000"));
    },
    code: "BAD_STREAM_COMMAND",
    text: "Command PING has a payload of 2 bytes instead of 4",
    lastGood: "configuration",
  },
  "an OPEN_RETURN_PATH with a payload": {
    write: (w, mark) => {
      writeHead(w);
      mark();
      w.bytes(fromHex("080001000100"));
    },
    code: "BAD_STREAM_COMMAND",
    text: "Command OPEN_RETURN_PATH has a payload of 1 bytes instead of 0",
    lastGood: "configuration",
  },
  "a command above the limit": {
    write: (w, mark) => {
      writeHead(w);
      mark();
      w.bytes(fromHex("0800060011"));
    },
    code: "LIMIT_EXCEEDED",
    text: "17 bytes of payload of command 6 are more than the limit of 16",
    lastGood: "configuration",
    limits: { maxCommandBytes: 16 },
  },
  "a vmdescription above the limit": {
    write: (w, mark) => {
      writeHead(w);
      encodeEndMark(w);
      mark();
      w.u8(6);
      w.be32(1001);
    },
    code: "LIMIT_EXCEEDED",
    text: "1001 bytes of vmdescription are more than the limit of 1000",
    section: "vmdescription",
    lastGood: "configuration",
    limits: { maxVmDescriptionBytes: 1000 },
  },
  "something else after the end mark": {
    write: (w, mark) => {
      writeHead(w);
      encodeEndMark(w);
      mark();
      w.u8(4);
    },
    code: "UNEXPECTED_DATA",
    text: "Unexpected data after the end mark",
    lastGood: "configuration",
  },
  "bytes after the vmdescription": {
    write: (w, mark) => {
      w.bytes(smallStream());
      mark();
      w.u8(0);
    },
    code: "UNEXPECTED_DATA",
    text: "Unexpected data after the vmdescription",
    lastGood: "vmdescription",
  },
};

test.each(Object.entries(CASES))("%s", (_name, one) => {
  expectRefusal(one);
});
