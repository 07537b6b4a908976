import { BlockDecoder, RamDecoder, StreamDecoder } from "../src/index.ts";
import type { SectionHeader } from "../src/index.ts";
import { fixtureNames, mainStream } from "../test/fixtures.ts";
import { LIMITS } from "./stream-run.ts";

const CONTINUE_AND_PAGE = 0x28;
/** Pages that follow another one of the same block. */
const KEPT_PAGES = 3;

/**
 * The recorded streams without most of their pages, so that a run takes milliseconds. Left out are pages that do not name
 * their block, so that what is left is a stream too.
 */
export function thinnedRecordings(names = allStreams()): Record<string, Uint8Array> {
  return Object.fromEntries(names.map((name) => [name, thinned(mainStream(name))]));
}

/** Pages of a mapped-ram file lie at their places, so none can be left out. */
function allStreams(): readonly string[] {
  return fixtureNames().filter((name) => !name.endsWith("-mapped"));
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
  const disk = new BlockDecoder({ chunk: () => {}, zeroChunk: () => {}, progress: () => {} });
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
