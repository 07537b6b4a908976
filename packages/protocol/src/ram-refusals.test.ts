import { test } from "vitest";
import { expectRefusal } from "../test/refusal.ts";
import type { Refusal } from "../test/refusal.ts";
import { RAM_ID, SMALL_BLOCKS, writeHead, writeRamStart } from "../test/streams.ts";
import { fromHex } from "../test/support.ts";
import { encodeSectionContinuation, encodeSectionHeader, RamPageEncoder, WIRE_PAGE_SIZE } from "./index.ts";
import type { ByteWriter } from "./index.ts";

/** Head, block list, and then records in a PART section. */
function records(
  write: (w: ByteWriter, encoder: RamPageEncoder, mark: () => void) => void,
): Refusal["write"] {
  return (w, mark) => {
    const encoder = new RamPageEncoder();
    writeHead(w);
    writeRamStart(w, encoder, SMALL_BLOCKS);
    encodeSectionContinuation(w, { kind: "part", id: RAM_ID });
    write(w, encoder, mark);
  };
}

/** Head and the START header of `ram`, then the block list. */
function blockList(write: (w: ByteWriter, mark: () => void) => void): Refusal["write"] {
  return (w, mark) => {
    writeHead(w);
    encodeSectionHeader(w, { kind: "start", id: RAM_ID, name: "ram", instance: 0, version: 4 });
    write(w, mark);
  };
}

/** Besides those of section-14.test.ts. */
const CASES: Record<string, Refusal> = {
  "a page just behind the end of a block that it names": {
    write: records((w, encoder, mark) => {
      mark();
      encoder.zeroPage(w, "control", WIRE_PAGE_SIZE);
    }),
    code: "BAD_RAM_PAGE",
    text: "Illegal RAM offset 1000",
    section: "ram",
    lastGood: "ram",
  },
  "an offset of 64 bits": {
    write: records((w, encoder, mark) => {
      encoder.zeroPage(w, "memory", 0);
      mark();
      w.bytes(fromHex("fffffffffffff022"));
    }),
    code: "BAD_RAM_PAGE",
    text: "Illegal RAM offset fffffffffffff000",
    section: "ram",
    lastGood: "ram",
  },
  "two page flags at once": {
    write: records((w, _encoder, mark) => {
      mark();
      w.be64(0x0a);
    }),
    code: "BAD_RAM_PAGE",
    text: "Unknown combination of migration flags: 0xa",
    section: "ram",
    lastGood: "ram",
  },
  "an end of section with an offset": {
    write: records((w, _encoder, mark) => {
      mark();
      w.be64(0x5010);
    }),
    code: "BAD_RAM_PAGE",
    text: "Illegal RAM offset 5000",
    section: "ram",
    lastGood: "ram",
  },
  "a page of a block that is not in the list": {
    write: records((w, encoder, mark) => {
      mark();
      encoder.zeroPage(w, "pc.ram", 0);
    }),
    code: "BAD_RAM_BLOCK",
    text: 'Unknown ramblock "pc.ram", cannot accept migration',
    section: "ram",
    lastGood: "ram",
  },
  "a second block list": {
    write: records((w, _encoder, mark) => {
      mark();
      w.be64(0x5004);
    }),
    code: "BAD_RAM_BLOCK",
    text: "The RAM block list came twice",
    section: "ram",
    lastGood: "ram",
  },
  "more RAM than the limit": {
    write: blockList((w, mark) => {
      mark();
      w.be64(0x11_0000_0000 + 4);
    }),
    code: "LIMIT_EXCEEDED",
    text: "The guest needs 68 GiB of memory and no more than 64 GiB are accepted here: allow more with --max-ram, which is the free memory of the host unless it is given",
    section: "ram",
    lastGood: "configuration",
    limits: { maxRamBytes: 64 * 1024 ** 3 },
  },
  "more RAM blocks than the limit": {
    write: blockList((w, mark) => {
      w.be64(0x1004);
      w.counted("a");
      w.be64(0);
      mark();
      w.counted("b");
      w.be64(0x1000);
    }),
    code: "LIMIT_EXCEEDED",
    text: "2 RAM blocks are more than the limit of 1",
    section: "ram",
    lastGood: "configuration",
    limits: { maxRamBlocks: 1 },
  },
  "a block longer than the total": {
    write: blockList((w, mark) => {
      w.be64(0x1004);
      mark();
      w.counted("a");
      w.be64(0x2000);
    }),
    code: "BAD_RAM_BLOCK",
    text: "RAM block 'a' cannot be accepted: its length 0x2000 goes beyond the total of the list",
    section: "ram",
    lastGood: "configuration",
  },
  "a block of broken pages": {
    write: blockList((w, mark) => {
      w.be64(0x1004);
      mark();
      w.counted("a");
      w.be64(0x800);
    }),
    code: "BAD_RAM_BLOCK",
    text: "RAM block 'a' cannot be accepted: its length 0x800 is not a multiple of the page size",
    section: "ram",
    lastGood: "configuration",
  },
  "a block that is in the list twice": {
    write: blockList((w, mark) => {
      w.be64(0x2004);
      w.counted("a");
      w.be64(0x1000);
      mark();
      w.counted("a");
      w.be64(0x1000);
    }),
    code: "BAD_RAM_BLOCK",
    text: "RAM block 'a' cannot be accepted: it is in the list twice",
    section: "ram",
    lastGood: "configuration",
  },
};

test.each(Object.entries(CASES))("%s", (_name, one) => {
  expectRefusal(one);
});
