import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ProtectedRecords } from "./protected-records.ts";

const record = (type: number, length: number): Buffer =>
  Buffer.concat([Buffer.from([type, 3, 3, length >> 8, length & 0xff]), Buffer.alloc(length, 23)]);

/** Two records that are not encrypted, of which one has no contents, and one that is. */
const PLAIN = Buffer.concat([record(22, 300), record(20, 0)]);
const BYTES = Buffer.concat([PLAIN, record(23, 40)]);

test("the first encrypted record is found, wherever the bytes are cut", () => {
  for (let at = 0; at <= BYTES.length; at++) {
    const records = new ProtectedRecords();
    expect(records.next(BYTES.subarray(0, at))).toBe(at > PLAIN.length);
    expect(records.next(BYTES.subarray(at))).toBe(true);
    expect(records.next(record(22, 1))).toBe(true);
  }
});

test("it is found in any number of pieces, and never before it has come", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 60 })), (sizes) => {
      const records = new ProtectedRecords();
      let at = 0;
      for (const size of sizes) {
        const end = Math.min(at + size, BYTES.length);
        expect(records.next(BYTES.subarray(at, end))).toBe(end > PLAIN.length);
        at = end;
      }
    }),
  );
});
