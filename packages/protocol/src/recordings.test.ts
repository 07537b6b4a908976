import { describe, expect, test } from "vitest";
import { Chunks, randomSizes } from "../test/chunks.ts";
import { fixture, fixtureFile, fixtureNames, noRecordings, sha256 } from "../test/fixtures.ts";
import { countFields, decodeRecording } from "../test/recordings.ts";
import { toHex, written } from "../test/support.ts";
import { DEFAULT_LIMITS, encodeReturnMessage, ReturnPathDecoder } from "./index.ts";

/** What each of the recordings of real QEMU holds. Fields are counted where there is a vmdescription. */
const RECORDINGS: Record<string, { machineType?: string; devices: number; fields?: number }> = {
  "pc-72": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  "pc-72-dirty": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  "pc-72-xbzrle": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  "pc-72-retpath": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  "pc-72-postcopy": { machineType: "pc-i440fx-7.2", devices: 31 },
  "pc-72-multifd": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  "pc-72-multifd-zstd": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  "pc-72-block": { machineType: "pc-i440fx-7.2", devices: 31, fields: 2874 },
  // Nothing in a stream of this era tells its devices apart.
  "pc20-72": { devices: 0 },
  "pc23-72-dirty": { devices: 28, fields: 2814 },
  "pc-100": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
  "pc-100-dirty": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
  "pc-100-xbzrle": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
  "pc-100-retpath": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
  "pc-100-postcopy": { machineType: "pc-i440fx-10.0", devices: 31 },
  "pc-100-multifd": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
  "pc-100-multifd-zstd": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
  "pc-100-mapped": { machineType: "pc-i440fx-10.0", devices: 31, fields: 2877 },
};

/** Those with the other direction of the channel. */
const RETURN_PATHS = ["pc-72-retpath", "pc-72-postcopy", "pc-100-retpath", "pc-100-postcopy"];

/** One of each form of stream: single bytes take half a minute for all of them, and the others would show nothing more. */
const ONE_OF_EACH_FORM = new Set([
  "pc-72-postcopy",
  "pc20-72",
  "pc-72-block",
  "pc-100",
  "pc-100-xbzrle",
  "pc-100-multifd-zstd",
  "pc-100-mapped",
]);
const ALL = Object.entries(RECORDINGS);

const CHUNKS = [
  { size: "1 byte", sizes: () => () => 1, recordings: ALL.filter(([name]) => ONE_OF_EACH_FORM.has(name)) },
  { size: "4095 bytes", sizes: () => () => 4095, recordings: ALL },
  { size: "random sizes", sizes: () => randomSizes(7), recordings: ALL },
];

describe.skipIf(noRecordings)("recordings of real QEMU", () => {
  test("are all in the table", () => {
    expect(Object.keys(RECORDINGS)).toHaveLength(18);
    expect(Object.keys(RECORDINGS).toSorted()).toEqual(fixtureNames().toSorted());
  });

  describe.each(CHUNKS)("in chunks of $size", ({ sizes, recordings }) => {
    test.each(recordings)(
      "%s: memory has the recorded sum, and the stream is encoded again byte for byte",
      async (name, { machineType, devices, fields }) => {
        const { ramBlock, ramBytes, ramSha256 } = fixture(name);
        const { echo, bytes } = await decodeRecording(name, sizes());
        const memory = echo.block(ramBlock);
        expect(memory).toHaveLength(ramBytes);
        expect(sha256(memory)).toBe(ramSha256);
        expect(Buffer.compare(echo.w.view(), bytes)).toBe(0);
        expect(echo.configured?.machineType).toBe(machineType);
        expect(echo.devices).toHaveLength(devices);
        expect(echo.description === undefined ? undefined : countFields(echo)).toBe(fields);
      },
    );

    test.each(RETURN_PATHS)("%s: the answers of the destination are encoded again", (name) => {
      const bytes = fixtureFile(fixture(name), `${name}.c0.back`);
      const again = written((w) => {
        const message = encodeReturnMessage.bind(undefined, w);
        const decoder = new ReturnPathDecoder({ limits: DEFAULT_LIMITS, message });
        const chunks = new Chunks(bytes, sizes());
        for (let chunk = chunks.next(); chunk !== undefined; chunk = chunks.next()) decoder.push(chunk);
        decoder.end();
      });
      expect(toHex(again)).toBe(toHex(bytes));
    });
  });
});
