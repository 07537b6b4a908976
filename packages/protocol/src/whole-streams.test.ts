import { describe, expect, test } from "vitest";
import { fixture, noRecordings } from "../test/fixtures.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import {
  CHUNKS,
  countFields,
  decodeWhole,
  mainChannel,
  requireSame,
  requireSameStream,
} from "../test/whole-streams.ts";

describe.skipIf(noRecordings).each(Object.keys(CHUNKS))("whole recordings in chunks of %s", (chunks) => {
  test.each([
    ["pc-72", 2874],
    ["pc-72-dirty", 2874],
    ["pc-72-retpath", 2874],
    ["pc-72-xbzrle", 2874],
    ["pc-100", 2877],
    ["pc-100-dirty", 2877],
    ["pc-100-retpath", 2877],
    ["pc-100-xbzrle", 2877],
  ])("%s: %i fields, cut as its vmdescription says", (name, fields) => {
    const of = fixture(name);
    const bytes = mainChannel(of);
    const echo = new WholeEcho(true);
    decodeWhole(bytes, echo, CHUNKS[chunks]!);
    requireSame(of, bytes, echo);
    expect(countFields(echo)).toBe(fields);
    expect(echo.devices.every(({ by }) => by === "description")).toBe(true);
  });

  test.each([
    ["pc-72-multifd", 2874],
    ["pc-72-multifd-zstd", 2874],
    ["pc-100-multifd", 2877],
    ["pc-100-multifd-zstd", 2877],
  ])("the main channel of %s: %i fields", (name, fields) => {
    const bytes = mainChannel(fixture(name));
    const echo = new WholeEcho(true);
    decodeWhole(bytes, echo, CHUNKS[chunks]!);
    requireSameStream(bytes, echo);
    expect(countFields(echo)).toBe(fields);
  });
});
