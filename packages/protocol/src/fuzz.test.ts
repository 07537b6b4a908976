import { expect, test } from "vitest";
import { fuzz } from "../fuzz/run.ts";
import type { FuzzOptions, FuzzResult } from "../fuzz/run.ts";
import { TARGETS } from "../fuzz/targets.ts";
import { noRecordings } from "../test/fixtures.ts";
import { TARGETS as PLANTED } from "../test/planted-targets.ts";

async function results(options: FuzzOptions): Promise<readonly FuzzResult[]> {
  const found: FuzzResult[] = [];
  for await (const one of fuzz(options)) found.push(one);
  return found;
}

/** A few seconds of what `pnpm fuzz` does for as long as it is told. */
test.skipIf(noRecordings)(
  "mutated recordings are decoded or refused, in time and within the limits",
  async () => {
    const found = await results({ seconds: 2, seed: 1 });
    expect(found.map(({ target, finding }) => [target, finding])).toEqual(
      TARGETS.map(({ name }) => [name, undefined]),
    );
    expect(found.filter(({ runs }) => runs === 0)).toEqual([]);
  },
);

const PLANTED_TARGETS = { url: new URL("../test/planted-targets.ts", import.meta.url).href, list: PLANTED };

test.each([
  ["internal", "failure", "MigrationError: a defect"],
  ["offset", "failure", "an error at 7, not from 8 to 9: cut short"],
  ["allocation", "failure", "1000000 bytes were taken at once, and 999999 are allowed"],
  ["calls", "failure", "85 calls, though only 84 fit the input"],
  ["memory", "memory", "more than 32 MiB of objects"],
])("a decoder with a defect is found out: %s", async (target, kind, text) => {
  const [found] = await results({ seconds: 60, seed: 5, target, heapMib: 32, targets: PLANTED_TARGETS });
  expect(found?.finding).toMatchObject({ kind, text: expect.stringContaining(text) });
});

test.each([
  ["crash", "failure", "TypeError: undefined is not a page"],
  ["hang", "hang", "one run took 0.2 s of a processor"],
])("seed and path give the input of a %s at once", async (target, kind, text) => {
  const options = { seconds: 60, seed: 5, target, hangSeconds: 0.2, targets: PLANTED_TARGETS };
  const finding = { kind, text: expect.stringContaining(text) };
  const [first] = await results(options);
  expect(first?.finding).toMatchObject(finding);
  expect(first?.runs).toBeGreaterThan(1);
  const [again] = await results({ ...options, path: first!.finding!.path });
  expect(again).toMatchObject({ runs: 1, finding });
});
