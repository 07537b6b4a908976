import { describe, expect, test } from "vitest";
import { SMALL_BLOCKS, writeHead, writeRamSection, writeRamStart } from "../test/streams.ts";
import { decodeAll, Recorder, refusal, written } from "../test/support.ts";
import { DEFAULT_LIMITS, encodeEndMark, RamPageEncoder, StreamDecoder, WIRE_PAGE_SIZE } from "./index.ts";

const RECORD = 8 + WIRE_PAGE_SIZE;
const { name: BLOCK } = SMALL_BLOCKS[0]!;

const page = (seed: number): Uint8Array =>
  Uint8Array.from({ length: WIRE_PAGE_SIZE }, (_, at) => seed + at * 7 + (at >> 8));

/** Up to the first record of a PART section, that record, and the two behind it. */
const [HEAD, FIRST, SECOND, THIRD, REST] = pieces();

function pieces(): readonly [Uint8Array, Uint8Array, Uint8Array, Uint8Array, Uint8Array] {
  const cuts: number[] = [];
  const whole = written((w) => {
    const encoder = new RamPageEncoder();
    writeHead(w);
    writeRamStart(w, encoder, SMALL_BLOCKS);
    writeRamSection(w, encoder, "part", () => {
      for (let n = 0; n < 3; n++) {
        cuts.push(w.length);
        encoder.page(w, BLOCK, n * WIRE_PAGE_SIZE, page(n));
      }
      cuts.push(w.length);
    });
    writeRamSection(w, encoder, "end");
    encodeEndMark(w);
  });
  const [first = 0, second = 0, third = 0, rest = 0] = cuts;
  return [
    whole.subarray(0, first),
    whole.subarray(first, second),
    whole.subarray(second, third),
    whole.subarray(third, rest),
    whole.subarray(rest),
  ];
}

function opened(...chunks: readonly Uint8Array[]): { handler: Recorder; decoder: StreamDecoder } {
  const handler = new Recorder(DEFAULT_LIMITS);
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
  for (const chunk of chunks) decoder.push(chunk.slice());
  return { handler, decoder };
}

/** What is missing, behind each byte of the chunk from the first on. */
function missingIn(decoder: StreamDecoder, chunk: Uint8Array): (number | undefined)[] {
  return Array.from(chunk, (byte) => {
    decoder.push(Uint8Array.of(byte));
    return decoder.bytesToRecord;
  });
}

describe("the bytes that are missing until a record begins", () => {
  test("are those of the page that is expected, and then of the page", () => {
    const { decoder } = opened(HEAD, FIRST);
    expect(decoder.bytesToRecord).toBe(0);
    expect(missingIn(decoder, SECOND)).toEqual(Array.from({ length: RECORD }, (_, n) => RECORD - 1 - n));
  });

  test("are not known while the name of a block comes, nor outside of a section that has records", () => {
    const { decoder } = opened();
    // Before the list of the blocks, and behind it.
    const before = missingIn(decoder, HEAD).slice(0, -1);
    expect(before.filter((bytes) => bytes === 0)).toHaveLength(2);
    const nameBytes = 1 + BLOCK.length;
    expect(missingIn(decoder, FIRST).slice(7, 7 + nameBytes)).toEqual(Array(nameBytes).fill(undefined));
    decoder.push(SECOND.slice());
    decoder.push(THIRD.slice());
    const behind = missingIn(decoder, REST);
    expect(behind.slice(0, 7)).toEqual(Array.from({ length: 7 }, (_, n) => RECORD - 1 - n));
    expect(behind.slice(7, 12)).toEqual(Array(5).fill(undefined));
    expect(behind.at(-1)).toBeUndefined();
  });

  test("are not known while the decoder is suspended", () => {
    const { decoder } = opened(HEAD, FIRST);
    decoder.suspend();
    expect(decoder.bytesToRecord).toBeUndefined();
  });
});

describe("records that are decoded elsewhere", () => {
  test("are counted, and nothing else of them is seen", () => {
    const all = decodeAll([HEAD, FIRST, SECOND, THIRD, REST].map((piece) => piece.slice()));
    const { handler, decoder } = opened(HEAD, FIRST);
    decoder.passRecords(SECOND.length);
    expect(decoder.offset).toBe(HEAD.length + FIRST.length + SECOND.length);
    decoder.push(THIRD.slice());
    decoder.push(REST.slice());
    decoder.end();
    const offset = (event: unknown): unknown => (event as { page?: unknown[] }).page?.[1];
    expect(handler.events).toEqual(all.filter((event) => offset(event) !== WIRE_PAGE_SIZE));
    expect(handler.events).toHaveLength(all.length - 1);
  });

  test("are counted where an error is told", () => {
    const { decoder } = opened(HEAD, FIRST);
    decoder.passRecords(5 * RECORD);
    const error = refusal(() => decoder.push(new Uint8Array(8).fill(0xff)));
    expect(error.offset).toBe(HEAD.length + FIRST.length + 5 * RECORD);
  });

  test("cannot be so in the middle of another, nor where there are none", () => {
    for (const chunks of [[], [HEAD, FIRST.subarray(0, 100)], [HEAD, FIRST, SECOND.subarray(0, 3)]]) {
      const { decoder } = opened(...chunks);
      expect(refusal(() => decoder.passRecords(RECORD)).code).toBe("INTERNAL");
    }
    const { decoder } = opened(HEAD, FIRST);
    expect(refusal(() => decoder.passRecords(-1)).code).toBe("INTERNAL");
  });
});
