import { existsSync, readFileSync } from "node:fs";
import { DEFAULT_LIMITS } from "@peregrine/protocol";
import { describe, expect, test } from "vitest";
import { DEFAULT_MONITOR_LIMITS } from "../../packages/monitor/src/limits.ts";

const DOCUMENT = readFileSync(new URL("../../docs/LIMITS.md", import.meta.url), "utf8");
const PACKAGES = new URL("../../packages/", import.meta.url);

const ROW =
  /^\| (?<what>.+?) +\| (?<limit>.+?) +\| `(?<name>\w+)` in `(?<file>[^`]+)` +\| `(?<test>[^`]+)` +\|$/gmu;

interface Row {
  readonly name: string;
  readonly limit: string;
  readonly file: string;
  readonly test: string;
}

const rows = [...DOCUMENT.matchAll(ROW)].map(({ groups }) => groups as unknown as Row);

const UNITS: Readonly<Record<string, number>> = {
  bytes: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  TiB: 2 ** 40,
  s: 1000,
};

/** The number that a row says; undefined where it is not one alone. */
function valueOf(limit: string): number | undefined {
  const { number, unit = "" } =
    /^(?<number>[\d ]+?)(?: (?<unit>bytes|KiB|MiB|TiB|s))?$/u.exec(limit)?.groups ?? {};
  return number === undefined ? undefined : Number(number.replaceAll(" ", "")) * (UNITS[unit] ?? 1);
}

describe("docs/LIMITS.md", () => {
  test.each(rows)("$name is in $file, and the test is there: $test", ({ name, file, test: path }) => {
    expect(readFileSync(new URL(file, PACKAGES), "utf8")).toMatch(new RegExp(`\\b${name}\\b`, "u"));
    expect(existsSync(new URL(path, PACKAGES))).toBe(true);
  });

  test("names a test for every limit", () => {
    expect(DOCUMENT.match(/\| -? *\|$/gmu)).toBeNull();
    expect(rows.length).toBeGreaterThan(60);
  });

  test.each(Object.entries({ ...DEFAULT_LIMITS, ...DEFAULT_MONITOR_LIMITS }))(
    "has %s, which is %i",
    (name, value) => {
      const row = rows.find((one) => one.name === name);
      if (row === undefined) expect.fail("it is not there");
      const said = valueOf(row.limit);
      if (said !== undefined) expect(said).toBe(value);
    },
  );
});
