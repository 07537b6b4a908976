import { describe, expect, test } from "vitest";
import { SMALL_BLOCKS, smallStream, writeHead, writeRamSection, writeRamStart } from "../test/streams.ts";
import { decodeAll, Recorder, refusal, written } from "../test/support.ts";
import type { Event } from "../test/support.ts";
import {
  DEFAULT_LIMITS,
  encodeEndMark,
  MigrationError,
  RamPageEncoder,
  StreamDecoder,
  WIRE_PAGE_SIZE,
} from "./index.ts";
import type { SectionHeader, StreamHandler } from "./index.ts";

const STREAM = smallStream();
const ALL = decodeAll([STREAM.slice()]);

/** Suspends the decoder in every call it makes. */
class Stopper extends Recorder {
  decoder: StreamDecoder | undefined;

  override record(event: Event): void {
    super.record(event);
    this.decoder?.suspend();
  }
}

function stopping(): { handler: Stopper; decoder: StreamDecoder } {
  const handler = new Stopper(DEFAULT_LIMITS);
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
  handler.decoder = decoder;
  return { handler, decoder };
}

describe("a suspended decoder", () => {
  test("stops after the present item and goes on from there", () => {
    const { handler, decoder } = stopping();
    expect(decoder.push(STREAM.slice())).toBe(false);
    expect(handler.events).toEqual(ALL.slice(0, 1));
    let stops = 1;
    while (!decoder.resume()) {
      stops += 1;
      if (stops > ALL.length) expect.fail("it does not get to the end");
    }
    decoder.end();
    expect(handler.events).toEqual(ALL);
    expect(stops).toBeGreaterThan(10);
  });

  test("stops at the footer, after close, with nothing of the next section read", () => {
    const handler = new Recorder(DEFAULT_LIMITS);
    const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
    const close = handler.close.bind(handler);
    handler.close = (header) => {
      close(header);
      if (header.name === "wasm-module") decoder.suspend();
    };
    expect(decoder.push(STREAM.slice())).toBe(false);
    expect(STREAM[decoder.offset]).toBe(1);
    expect(handler.events.at(-1)).toMatchObject({ close: { name: "wasm-module" } });
    expect(decoder.resume()).toBe(true);
    expect(decoder.finished).toBe(true);
  });

  test.each([1, 7, 4096])("loses nothing when it is fed %i bytes at a time", (size) => {
    const { handler, decoder } = stopping();
    for (let at = 0; at < STREAM.length; at += size) {
      const chunk = STREAM.slice(at, at + size);
      let consumed = decoder.push(chunk);
      while (!consumed) consumed = decoder.resume();
      chunk.fill(0xee);
    }
    decoder.end();
    expect(handler.events).toEqual(ALL);
  });

  test("takes no chunk and no end", () => {
    const { decoder } = stopping();
    decoder.push(STREAM.slice());
    expect(refusal(() => decoder.push(STREAM)).code).toBe("INTERNAL");
    expect(refusal(() => decoder.end()).code).toBe("INTERNAL");
  });

  test("may have more on hand than an item may have", () => {
    const stream = written((w) => {
      const encoder = new RamPageEncoder();
      writeHead(w);
      writeRamStart(w, encoder, SMALL_BLOCKS);
      writeRamSection(w, encoder, "end", () => {
        encoder.multifdFlush(w);
        encoder.page(w, "memory", 0, new Uint8Array(WIRE_PAGE_SIZE));
        encoder.page(w, "memory", WIRE_PAGE_SIZE, new Uint8Array(WIRE_PAGE_SIZE));
      });
      encodeEndMark(w);
    });
    const limits = { ...DEFAULT_LIMITS, maxItemBytes: WIRE_PAGE_SIZE };
    const waiting = {
      multifdFlush: () => {
        decoder.suspend();
        return false;
      },
    };
    const handler: StreamHandler = Object.assign(new Recorder(limits), waiting);
    const decoder: StreamDecoder = new StreamDecoder({ limits, handler });
    expect(decoder.push(stream)).toBe(false);
    expect(decoder.resume()).toBe(true);
    expect(decoder.finished).toBe(true);
  });

  test("is told of the end of each payload before its footer", () => {
    const handler = new Recorder(DEFAULT_LIMITS);
    const sections: string[] = [];
    const waiting = {
      payloadEnd: ({ kind, name }: SectionHeader) => {
        // Of the section that follows, and of the footer, nothing has been pushed yet.
        sections.push(`${kind} ${name} ends at ${decoder.offset} of ${pushed}`);
        decoder.suspend();
      },
      close: ({ kind, name }: SectionHeader) => sections.push(`${kind} ${name} is closed`),
    };
    const decoder: StreamDecoder = new StreamDecoder({
      limits: DEFAULT_LIMITS,
      handler: Object.assign(handler, waiting),
    });
    let pushed = 0;
    for (const byte of STREAM) {
      pushed++;
      if (!decoder.push(Uint8Array.of(byte))) expect(decoder.resume()).toBe(true);
    }
    const ends = sections.filter((_, index) => index % 2 === 0);
    const closes = sections.filter((_, index) => index % 2 === 1);
    expect(ends.length).toBeGreaterThan(3);
    expect(ends.map((end) => end.replace(/ ends at (\d+) of \1$/, " is closed"))).toEqual(closes);
  });

  test("can be suspended between two chunks", () => {
    const handler = new Recorder(DEFAULT_LIMITS);
    const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
    expect(decoder.push(STREAM.slice(0, 100))).toBe(true);
    decoder.suspend();
    expect(refusal(() => decoder.push(STREAM.slice(100))).code).toBe("INTERNAL");
    expect(decoder.resume()).toBe(true);
    expect(decoder.push(STREAM.slice(100))).toBe(true);
    expect(handler.events).toEqual(ALL);
  });
});

test("a handler cannot call back into the decoder that calls it", () => {
  const handler = new Recorder(DEFAULT_LIMITS);
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
  handler.configuration = () => {
    decoder.push(new Uint8Array(1));
  };
  expect(refusal(() => decoder.push(STREAM.slice())).code).toBe("INTERNAL");
});

test("an error that is not a MigrationError passes as it is, and again on every later call", () => {
  const marker = new Error("a defect");
  const handler = new Recorder(DEFAULT_LIMITS);
  handler.endMark = () => {
    throw marker;
  };
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
  expect(() => decoder.push(STREAM.slice())).toThrow(marker);
  expect(() => decoder.push(STREAM.slice())).toThrow(marker);
  expect(() => decoder.end()).toThrow(marker);
});

test("an error of the sink about the RAM blocks that has a place keeps it", () => {
  for (const thrown of [new Error("a defect"), new MigrationError("BAD_RAM_BLOCK", "no", { offset: 3 })]) {
    const handler = new Recorder(DEFAULT_LIMITS);
    handler.blockList = () => {
      throw thrown;
    };
    const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler });
    expect(() => decoder.push(STREAM.slice())).toThrow(thrown.message);
    if (MigrationError.is(thrown)) expect(refusal(() => decoder.end()).offset).toBe(3);
  }
});

test("finished says whether the stream may end", () => {
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: new Recorder(DEFAULT_LIMITS) });
  const changes: number[] = [];
  let before = decoder.finished;
  for (const [index, byte] of STREAM.entries()) {
    decoder.push(Uint8Array.of(byte));
    if (decoder.finished !== before) changes.push(index);
    before = decoder.finished;
  }
  const endMarkAt = STREAM.lastIndexOf(6) - 1;
  expect(changes).toEqual([endMarkAt, endMarkAt + 1, STREAM.length - 1]);
  expect(decoder.offset).toBe(STREAM.length);
});
