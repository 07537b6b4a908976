import { describe, expect, test } from "vitest";
import { fixture, noRecordings } from "../test/fixtures.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import { CHUNKS, countFields, decodeWhole, mainChannel, requireSame } from "../test/whole-streams.ts";

describe.skipIf(noRecordings).each(Object.keys(CHUNKS))("whole recordings in chunks of %s", (chunks) => {
  test.each([
    ["pc-72", 2874],
    ["pc-72-dirty", 2874],
    ["pc-72-retpath", 2874],
    ["pc-100", 2877],
    ["pc-100-dirty", 2877],
    ["pc-100-retpath", 2877],
  ])("%s: %i fields, cut as its vmdescription says", (name, fields) => {
    const of = fixture(name);
    const bytes = mainChannel(of);
    const echo = new WholeEcho(true);
    decodeWhole(bytes, echo, CHUNKS[chunks]!);
    requireSame(of, bytes, echo);
    expect(countFields(echo)).toBe(fields);
    expect(echo.devices.every(({ by }) => by === "description")).toBe(true);
  });
});
