import { expect, test } from "vitest";
import { smallStreams } from "../fuzz/samples.ts";
import { ANY_FORM, runStream } from "../fuzz/stream-run.ts";
import { RAM_ID, SMALL_BLOCKS, smallStream, writeHead, writeRamStart } from "../test/streams.ts";
import { decodeAll, refusal, written } from "../test/support.ts";
import { encodeCommand, encodeSectionContinuation, RamPageEncoder, WIRE_PAGE_SIZE } from "./index.ts";

const whole = smallStream();
const complete = decodeAll([whole.slice()]).length;

test.each([
  [0, "the magic of a migration stream", undefined, undefined],
  [6, "the stream's version", undefined, undefined],
  [8, "the configuration section", "configuration", undefined],
  [15, "the machine type", "configuration", undefined],
])("cut after %i bytes", (length, awaited, section, lastGood) => {
  const error = refusal(() => decodeAll([whole.slice(0, length)]));
  expect(error.message).toContain(`The stream ended where ${awaited} was expected: Input/output error (`);
  expect(error).toMatchObject({ code: "TRUNCATED", offset: length, section, lastGoodSection: lastGood });
});

test("cut in the middle of a page", () => {
  const bytes = written((w) => {
    const encoder = new RamPageEncoder();
    writeHead(w);
    encodeCommand(w, { kind: "ping", value: 1 });
    writeRamStart(w, encoder, SMALL_BLOCKS);
    encodeSectionContinuation(w, { kind: "part", id: RAM_ID });
    encoder.page(w, "memory", 0, new Uint8Array(WIRE_PAGE_SIZE));
  }).slice(0, -1);
  expect(refusal(() => decodeAll([bytes])).message).toBe(
    "The stream ended where a page of 4096 bytes was expected: Input/output error " +
      `(section 'ram', byte ${bytes.length}, last good section 'ram')`,
  );
});

test("cut anywhere but behind the end mark, where a vmdescription may be missing", () => {
  const endMarkAt = whole.lastIndexOf(6) - 1;
  for (let length = 0; length < whole.length; length += 1) {
    if (length === endMarkAt + 1) {
      expect(decodeAll([whole.slice(0, length)])).toHaveLength(complete - 1);
      continue;
    }
    const error = refusal(() => decodeAll([whole.slice(0, length)]));
    if (error.code !== "TRUNCATED" || error.offset !== length) {
      expect.fail(`cut after ${length} bytes: ${error.code} at ${error.offset}`);
    }
    expect(error.message).toContain("Input/output error");
  }
});

/** What was awaited in a record of each kind: every text, in the order in which they come. */
const AWAITED: Record<string, readonly string[]> = {
  "a disk": ["a record of a disk", "the name of a disk", "a chunk of 1048576 bytes"],
  "dirty bitmaps": [
    "a record of a dirty bitmap",
    "the name of a block node",
    "the name of a dirty bitmap",
    "the granularity of a dirty bitmap",
    "the sectors of a dirty bitmap",
    "the length of a dirty bitmap",
    "the bits of a dirty bitmap",
  ],
  "a mapped-ram file": [
    "a RAM record",
    "an entry of the RAM block list",
    "bytes of padding",
    "the bitmap of a RAM block",
    "a page of 4096 bytes",
  ],
  "every record": [
    "a RAM record",
    "an entry of the RAM block list",
    "the name of a RAM block",
    "a page of 4096 bytes",
    "the length of a delta",
    "a delta",
    "the fill byte of a page",
    "the length of a compressed page",
    "a compressed page",
  ],
};

test.each(Object.entries(AWAITED))("%s, cut anywhere: it says what was awaited", (name, awaited) => {
  const bytes = smallStreams()[name]!;
  const seen = new Set<string>();
  for (let length = 0; length < bytes.length; length += 1) {
    // The middle of a long stream is pages or a chunk of a disk: a few places in it stand for all.
    const inTheMiddle = length > 500 && length < bytes.length - 600;
    if (inTheMiddle && length % 4099 !== 0) continue;
    const { error } = runStream(bytes.subarray(0, length), [], ANY_FORM);
    expect(error).toMatchObject({ code: "TRUNCATED", offset: length });
    const [, text] = /^The stream ended where (?:\d+ (?=bytes of padding))?(.*) was expected: /u.exec(
      error!.message,
    )!;
    seen.add(text!);
  }
  expect([...seen]).toEqual(expect.arrayContaining([...awaited]));
});
