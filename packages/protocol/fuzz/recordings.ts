import { BlockDecoder, encodeRamTotal, RamDecoder, StreamDecoder } from "../src/index.ts";
import type { ListedRamBlock, SectionHeader } from "../src/index.ts";
import { fixtureNames, mainStream } from "../test/fixtures.ts";
import { written } from "../test/support.ts";
import { PAGE, writeMappedBlock } from "./mapped-file.ts";
import { LIMITS } from "./stream-run.ts";

const CONTINUE_AND_PAGE = 0x28;
/** Pages that follow another one of the same block. */
const KEPT_PAGES = 3;
/** A block of a mapped-ram file in these bytes. */
const SMALL_BLOCK_BYTES = 8 * PAGE;

/**
 * The recorded streams without most of their pages, so that a run takes milliseconds. Left out are pages that do not name
 * their block, so that what is left is a stream too.
 */
export function thinnedRecordings(names = fixtureNames()): Record<string, Uint8Array> {
  return Object.fromEntries(
    names.map((name) => {
      const bytes = mainStream(name);
      return [name, name.endsWith("-mapped") ? shrunk(bytes) : thinned(bytes)];
    }),
  );
}

/** A mapped-ram file with blocks of a few pages: these lie at their places, so none can be left out. */
function shrunk(bytes: Uint8Array): Uint8Array {
  const blocks: ListedRamBlock[] = [];
  let listAt = 0;
  let listEnd = 0;
  const ram = new RamDecoder({
    limits: LIMITS,
    blockListForm: { mapped: true },
    sink: {
      mappedBlock: (_index, block) => blocks.push(block),
      blockList: () => {
        listEnd = decoder.offset;
      },
      zeroPage: () => {},
      page: () => {},
    },
  });
  const decoder = new StreamDecoder({
    limits: LIMITS,
    handler: {
      configuration: () => {},
      open: (header) => {
        if (header.kind === "full") return { payload: () => {} };
        listAt = decoder.offset;
        return ram;
      },
      command: () => {},
      endMark: () => {},
      vmDescription: () => {},
    },
  });
  decoder.push(bytes);
  decoder.end();
  const small = blocks.map(({ name, length }) => ({ name, length: Math.min(length, SMALL_BLOCK_BYTES) }));
  return written((w) => {
    w.bytes(bytes.subarray(0, listAt));
    encodeRamTotal(w, small);
    for (const [index, { mapped }] of blocks.entries()) {
      const { bitmapOffset, pagesOffset } = mapped!;
      const pages = bytes.subarray(pagesOffset, pagesOffset + small[index]!.length);
      writeMappedBlock(w, small[index]!, bytes.subarray(bitmapOffset), pages);
    }
    w.bytes(bytes.subarray(listEnd));
  });
}

function thinned(bytes: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  let keptTo = 0;
  let recordAt = 0;
  let continued = 0;
  const record = (): void => {
    const end = decoder.offset;
    continued = bytes[recordAt + 7] === CONTINUE_AND_PAGE ? continued + 1 : 0;
    if (continued > KEPT_PAGES) {
      kept.push(bytes.subarray(keptTo, recordAt));
      keptTo = end;
    }
    recordAt = end;
  };
  const payload = (header: SectionHeader): void => {
    if (header.name === "ram") recordAt = decoder.offset;
  };
  const ram = new RamDecoder({
    limits: LIMITS,
    sink: {
      blockList: () => {
        recordAt = decoder.offset;
      },
      zeroPage: record,
      page: record,
      encodedPage: () => {
        record();
        return false;
      },
      multifdFlush: () => {
        record();
        return true;
      },
    },
  });
  const disk = new BlockDecoder({ chunk: () => true, zeroChunk: () => true, progress: () => {} });
  const decoder = new StreamDecoder({
    limits: { ...LIMITS, maxItemBytes: 2 ** 21 },
    configuration: "optional",
    footers: "detected",
    handler: {
      configuration: () => {},
      open: (header) => {
        payload(header);
        if (header.name === "ram") return ram;
        return header.kind === "start" ? disk : { payload: () => {}, undivided: () => {} };
      },
      part: payload,
      command: () => {},
      endMark: () => {},
      vmDescription: () => {},
    },
  });
  decoder.push(bytes);
  decoder.end();
  return Buffer.concat([...kept, bytes.subarray(keptTo)]);
}
