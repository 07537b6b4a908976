import * as fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { smallStream, writeHead } from "../test/streams.ts";
import { chunked, decodeAll, written } from "../test/support.ts";
import { encodeSectionHeader, MigrationError, StreamDecoder } from "./index.ts";
import type { ByteReader, Limits, StreamHandler } from "./index.ts";

const STREAM = smallStream();

const LIMITS: Limits = {
  maxMachineTypeBytes: 64,
  maxCapabilities: 4,
  maxOpenSections: 4,
  maxItemBytes: 8192,
  maxCommandBytes: 256,
  maxPackageBytes: 8192,
  maxDeviceTailBytes: 8192,
  maxDeviceBytes: 8192,
  maxVmDescriptionBytes: 1024,
  maxRamBlocks: 4,
  maxRamBytes: 1024 * 1024,
  maxReturnMessageBytes: 512,
  maxReceivedBitmapBytes: 8192,
};

/** The largest Uint8Array made by its length since the last reset. */
let largest = 0;

beforeEach(() => {
  const Real = Uint8Array;
  largest = 0;
  vi.stubGlobal(
    "Uint8Array",
    new Proxy(Real, {
      construct(target, args: unknown[], newTarget) {
        const [length] = args;
        if (typeof length === "number") largest = Math.max(largest, length);
        return Reflect.construct(target, args, newTarget) as object;
      },
    }),
  );
});

afterEach(() => {
  vi.unstubAllGlobals();
});

/** A change to the stream: bytes overwritten, put in, or taken out. */
const mutation = fc.record({
  at: fc.oneof(
    // Everything but the one page lies in the first 400 and the last 400 bytes.
    fc.nat(400),
    fc.nat(400).map((back) => STREAM.length - 1 - back),
    fc.nat(STREAM.length - 1),
  ),
  remove: fc.nat(8),
  insert: fc.oneof(
    fc.uint8Array({ maxLength: 8 }),
    fc
      .constantFrom("ffffffff", "7fffffff", "00000000", "ff", "80", "20")
      .map((hex) => Uint8Array.from(Buffer.from(hex, "hex"))),
  ),
});

test("whatever the input, the answer is a MigrationError or none, and memory stays within the limits", () => {
  fc.assert(
    fc.property(
      fc.array(mutation, { minLength: 1, maxLength: 4 }),
      fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 10 }),
      fc.constantFrom("required", "detected"),
      fc.constantFrom("required", "optional"),
      (mutations, cuts, footers, configuration) => {
        let bytes = [...STREAM];
        for (const { at, remove, insert } of mutations) bytes = bytes.toSpliced(at, remove, ...insert);
        const chunks = chunked(Uint8Array.from(bytes), cuts);
        largest = 0;
        try {
          decodeAll(chunks, { limits: LIMITS, footers, configuration });
        } catch (error) {
          if (!MigrationError.is(error)) throw error;
          expect(error.code).not.toBe("INTERNAL");
          expect(error.offset).toBeTypeOf("number");
        }
        // The carry: twice what one item and one chunk can leave.
        expect(largest).toBeLessThanOrEqual(2 * (LIMITS.maxItemBytes + STREAM.length));
      },
    ),
    { numRuns: 1500 },
  );
});

test("a payload decoder that never consumes is stopped at the limit", () => {
  const handler: StreamHandler = {
    configuration: () => {},
    open: () => ({ decode: (input: ByteReader) => input.available > 1e9 }),
    command: () => {},
    endMark: () => {},
    vmDescription: () => {},
  };
  const decoder = new StreamDecoder({ limits: LIMITS, handler });
  const head = written((w) => {
    writeHead(w);
    encodeSectionHeader(w, { kind: "full", id: 0, name: "serial", instance: 0, version: 1 });
  });
  expect(() => {
    decoder.push(head);
    for (let pushed = 0; pushed < 1e6; pushed += 1000) decoder.push(new Uint8Array(1000));
  }).toThrow(/bytes of one item are more than the limit of 8192/u);
  expect(largest).toBeGreaterThan(LIMITS.maxItemBytes);
  expect(largest).toBeLessThanOrEqual(4 * LIMITS.maxItemBytes);
});
