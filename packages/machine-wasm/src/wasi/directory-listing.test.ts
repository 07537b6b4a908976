import * as fc from "fast-check";
import { expect, test } from "vitest";
import { NO_FILES } from "../../test/wasi-caller.ts";
import type { OpenDirectory } from "./descriptors.ts";
import { encodeEntries, listFrom, orderEntries } from "./directory-listing.ts";
import type { HostDirectoryEntry, HostFiles } from "./host.ts";

const entry = (name: string): HostDirectoryEntry => ({ name, type: "regular" });

/** A host that has only a listing; looking at an entry finds that it has gone. */
function filesListing(names: () => readonly string[]): HostFiles {
  return new Proxy(NO_FILES, {
    get: (target, property: keyof HostFiles) =>
      property === "list" ? () => names().map(entry) : target[property],
  });
}

function openDirectory(): OpenDirectory {
  return {
    kind: "directory",
    handle: 1,
    root: 0,
    path: "",
    preopened: false,
    listing: undefined,
    rights: 0,
    inheritingRights: 0,
    flags: 0,
  };
}

test("cookies rise, are unique, fit in 31 bits, and do not depend on the host's order", () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.string(), { maxLength: 200 }), (names) => {
      const listed = orderEntries(names.map(entry));
      const cookies = listed.map((item) => item.cookie);
      expect(cookies).toEqual([...new Set(cookies)].sort((a, b) => a - b));
      expect(Math.max(...cookies)).toBeLessThan(2 ** 31);
      expect(listed.slice(0, 2).map((item) => item.name)).toEqual([".", ".."]);
      expect(orderEntries(names.toReversed().map(entry))).toEqual(listed);
    }),
  );
});

test("names with the same hash are all listed", () => {
  // FNV-1a collides on pairs of two-character names; find one rather than trust a constant.
  const seen = new Map<number, string>();
  const pair = (() => {
    for (let code = 0; code < 1 << 20; code++) {
      const name = `${code.toString(36)}x`;
      const cookie = orderEntries([entry(name)])[2]?.cookie ?? 0;
      const other = seen.get(cookie);
      if (other !== undefined) return [other, name];
      seen.set(cookie, name);
    }
    throw new Error("no collision");
  })();
  const cookies = orderEntries(pair.map(entry)).slice(2);
  expect(new Set(cookies.map((item) => item.name))).toEqual(new Set(pair));
  expect((cookies[1]?.cookie ?? 0) - (cookies[0]?.cookie ?? 0)).toBe(1);
});

/** A host's listing holds neither `.` nor `..`. */
const fileName = fc.string({ minLength: 1 }).filter((name) => name !== "." && name !== "..");

test("a listing that goes on elsewhere has every lasting entry once, whatever came and went", () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fileName, { minLength: 1, maxLength: 40 }),
      fc.uniqueArray(fileName, { maxLength: 10 }),
      fc.nat(45),
      (lasting, coming, cut) => {
        let names: readonly string[] = lasting;
        const files = filesListing(() => names);
        const all = listFrom(files, openDirectory(), 0n);
        const first = all.slice(0, Math.min(cut + 1, all.length));
        names = [...new Set([...coming, ...lasting])];
        const rest = listFrom(files, openDirectory(), BigInt(first.at(-1)?.cookie ?? 0));
        const seen = [...first, ...rest].map((item) => item.name).filter((name) => lasting.includes(name));
        expect(seen.sort()).toEqual([...lasting].sort());
      },
    ),
  );
});

test("entries are cut off at the buffer's end, at every length", () => {
  const files = filesListing(() => ["alpha", "b", "gamma-ray"]);
  const where = openDirectory();
  const entries = listFrom(files, where, 0n);
  const whole = encodeEntries(files, where, entries, 10_000);
  expect(whole.length).toBe(5 * 24 + 1 + 2 + 5 + 1 + 9);
  for (let limit = 0; limit <= whole.length + 1; limit++) {
    expect(encodeEntries(files, where, entries, limit)).toEqual(whole.slice(0, limit));
  }
});
