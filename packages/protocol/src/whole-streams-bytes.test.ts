import { expect, test } from "vitest";
import { fixture, noRecordings } from "../test/fixtures.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import { decodeWhole, mainChannel, requireSame } from "../test/whole-streams.ts";

test.skipIf(noRecordings).each([
  ["pc-72", 31, true],
  ["pc-100-xbzrle", 31, true],
  ["pc-100-postcopy", 31, true],
  ["pc20-72", 0, false],
])("the whole recording %s byte by byte: %i devices", (name, devices, footers) => {
  const of = fixture(name);
  const bytes = mainChannel(of);
  const echo = new WholeEcho(footers);
  decodeWhole(bytes, echo, () => 1);
  requireSame(of, bytes, echo);
  expect(echo.devices).toHaveLength(devices);
});
