import { describe, expect, test } from "vitest";
import { DiskEcho } from "../test/disk-echo.ts";
import { fixture, fixtureFile, mainStream, noRecordings, sha256 } from "../test/fixtures.ts";
import { decodeWhole } from "../test/recordings.ts";
import { WholeEcho } from "../test/whole-echo.ts";
import { BLOCK_CHUNK_BYTES } from "./index.ts";

const SIZES = () => 65_536;

/** What is particular to some of the recordings. That all of them are decoded is tested in recordings.test.ts. */
describe.skipIf(noRecordings)("whole recordings of real QEMU", () => {
  test.each(["pc-72", "pc-100", "pc23-72-dirty"])("%s: devices are cut by the vmdescription", (name) => {
    const echo = decodeWhole(mainStream(name), new WholeEcho(name !== "pc23-72-dirty"), SIZES);
    expect(echo.devices.every(({ by }) => by === "description")).toBe(true);
  });

  test("machine type 2.0, where nothing tells the devices apart", () => {
    const echo = decodeWhole(mainStream("pc20-72"), new WholeEcho(false), SIZES);
    expect(echo.devices).toEqual([]);
    expect(echo.undivided!.length).toBeGreaterThan(10_000);
    expect(echo.description).toBeUndefined();
  });

  test.each(["pc-72-retpath", "pc-100-retpath"])("%s: the return path is opened first", (name) => {
    const echo = decodeWhole(mainStream(name), new WholeEcho(true), SIZES);
    expect(echo.commands.slice(0, 2)).toEqual([{ kind: "open-return-path" }, { kind: "ping", value: 1 }]);
  });

  test.each(["pc-72-postcopy", "pc-100-postcopy"])("%s: devices come in a package", (name) => {
    const echo = decodeWhole(mainStream(name), new WholeEcho(true), SIZES);
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
      const { devices } = decodeWhole(mainStream(name), new WholeEcho(true), SIZES);
      return devices.map(({ header, payload }) => [header.name, header.instance, payload.length]);
    });
    expect(packaged).toEqual(described);
  });

  test("a disk comes with its memory", () => {
    const { disk } = decodeWhole(mainStream("pc-72-block"), new DiskEcho(true), SIZES);
    const recorded = fixtureFile(fixture("pc-72-block"), "pc-72-block.disk.zst");
    expect(sha256(disk.disk.subarray(0, recorded.length))).toBe(sha256(recorded));
    expect(disk.offsets).toEqual([0, 1, 2, 3].map((chunk) => chunk * BLOCK_CHUNK_BYTES));
    expect(disk.percents.at(-1)).toBe(100);
  });
});
