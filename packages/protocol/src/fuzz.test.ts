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

test.each([
  ["crash", "failure", "TypeError: undefined is not a page"],
  ["internal", "failure", "MigrationError: a defect"],
  ["offset", "failure", "an error at 7, not from 8 to 9: cut short"],
  ["allocation", "failure", "1000000 bytes were taken at once, and 999999 are allowed"],
  ["calls", "failure", "85 calls, though only 84 fit the input"],
  ["hang", "hang", "one run took 0.2 s of a processor"],
  ["memory", "memory", "more than 32 MiB of objects"],
])("a decoder with a defect is found out: %s", async (target, kind, text) => {
  const targets = { url: new URL("../test/planted-targets.ts", import.meta.url).href, list: PLANTED };
  const hangSeconds = kind === "hang" ? 0.2 : 60;
  const options = { seconds: 60, seed: 5, target, hangSeconds, heapMib: 32, targets };
  const [first] = await results(options);
  expect(first?.finding).toMatchObject({ kind, text: expect.stringContaining(text) });
  // Seed and path give that input at once.
  const [again] = await results({ ...options, path: first!.finding!.path });
  expect(again).toMatchObject({ runs: 1, finding: { kind, text: expect.stringContaining(text) } });
});
