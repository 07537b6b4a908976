import { PassThrough } from "node:stream";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { failure } from "../testing/opened.ts";
import { encodeVerdict, readVerdict } from "./verdict.ts";

const REST = Buffer.from("QEVM and so on");

/** Gives the bytes in two pieces, one after the other was taken. */
async function reading(bytes: Buffer, at: number, ends = false): Promise<string | undefined> {
  const stream = new PassThrough();
  stream.write(bytes.subarray(0, at));
  const verdict = readVerdict(stream, "peer");
  await new Promise(setImmediate);
  stream.write(bytes.subarray(at));
  if (ends) stream.end();
  const reason = await verdict;
  if (reason === undefined) expect(stream.read() as Buffer).toEqual(REST);
  return reason;
}

test.each([undefined, "no: its certificate has expired"])(
  "%s survives every cut, and nothing behind it is lost",
  async (reason) => {
    const bytes = Buffer.concat([encodeVerdict(reason), REST]);
    for (let at = 0; at <= bytes.length; at++) expect(await reading(bytes, at)).toBe(reason);
  },
);

test("any reason survives, but that a long one is cut", async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ minLength: 1, maxLength: 3000, unit: "grapheme-ascii" }), async (reason) => {
      const stream = new PassThrough();
      stream.end(encodeVerdict(reason));
      expect(await readVerdict(stream, "peer")).toBe(reason.slice(0, 1000));
    }),
    { numRuns: 50 },
  );
});

test.each([
  ["an end at once", [], "without saying whether it accepts"],
  ["an end in the middle", [1, 0, 5, 65], "without saying whether it accepts"],
  ["another kind", [2], "does not understand"],
  ["no reason", [1, 0, 0], "too long or missing"],
  ["a reason that is too long", [1, 4, 0], "too long or missing"],
])("%s is refused", async (_what, bytes, text) => {
  const stream = new PassThrough();
  stream.end(Buffer.from(bytes));
  const error = await failure(readVerdict(stream, "peer"));
  expect(error).toMatchObject({ code: "TLS_FAILED", message: expect.stringContaining(text) });
});
