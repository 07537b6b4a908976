import { describe, expect, test } from "vitest";
import { fixture, noRecordings } from "../test/fixtures.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import { CHUNKS, countFields, decodeWhole, mainChannel, requireSame } from "../test/whole-streams.ts";

describe.skipIf(noRecordings).each(Object.keys(CHUNKS))("whole recordings in chunks of %s", (chunks) => {
  const size = CHUNKS[chunks]!;

  test("machine type 2.3, without configuration and footers", () => {
    const of = fixture("pc23-72-dirty");
    const bytes = mainChannel(of);
    const echo = new WholeEcho(false);
    decodeWhole(bytes, echo, size);
    requireSame(of, bytes, echo);
    expect(echo.configured).toBeUndefined();
    expect(countFields(echo)).toBe(2814);
  });

  test("machine type 2.0, where nothing tells the devices apart", () => {
    const of = fixture("pc20-72");
    const bytes = mainChannel(of);
    const echo = new WholeEcho(false);
    decodeWhole(bytes, echo, size);
    requireSame(of, bytes, echo);
    expect(echo.devices).toEqual([]);
    expect(echo.undivided!.length).toBeGreaterThan(10_000);
    expect(echo.description).toBeUndefined();
  });

  test.each(["pc-72-postcopy", "pc-100-postcopy"])("%s, with its devices in a package", (name) => {
    const of = fixture(name);
    const bytes = mainChannel(of);
    const echo = new WholeEcho(true);
    decodeWhole(bytes, echo, size);
    requireSame(of, bytes, echo);
    expect(echo.description).toBeUndefined();
    expect(echo.packaged).toBe(echo.devices.length);
    expect(echo.devices.every(({ by }) => by === "footer")).toBe(true);
    expect(echo.commands.slice(0, 3)).toEqual([
      { kind: "open-return-path" },
      { kind: "ping", value: 1 },
      { kind: "postcopy-advise", pageSizes: { summary: 4096, target: 4096 } },
    ]);
    expect(echo.commands.filter(({ kind }) => kind === "postcopy-ram-discard")).toHaveLength(6);
    expect(echo.commands.slice(-6)).toEqual([
      { kind: "ping", value: 2 },
      { kind: "packaged", length: 13_455 },
      { kind: "postcopy-listen" },
      { kind: "ping", value: 3 },
      { kind: "postcopy-run" },
      { kind: "ping", value: 4 },
    ]);
  });

  test.each(["72", "100"])("the devices of QEMU %s have the same lengths by footers", (release) => {
    const [described, packaged] = [`pc-${release}`, `pc-${release}-postcopy`].map((name) => {
      const echo = new WholeEcho(true);
      decodeWhole(mainChannel(fixture(name)), echo, size);
      return echo.devices.map(({ header, payload }) => [header.name, header.instance, payload.length]);
    });
    expect(packaged).toEqual(described);
  });
});
