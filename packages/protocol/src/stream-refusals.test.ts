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
  encodeSectionHeader,
  RamPageEncoder,
} from "./index.ts";

/** Besides those of section-14.test.ts. */
const CASES: Record<string, Refusal> = {
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
