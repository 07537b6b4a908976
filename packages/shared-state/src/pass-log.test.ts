import { expect, test } from "vitest";
import { KEPT_PASSES, PassLog } from "./pass-log.ts";

const record = (pass: number) => ({
  pass,
  total: pass * 4096,
  start: pass * 1.5,
  dirtyRate: 7,
  transferredBefore: pass * 2 ** 33,
});

test("the passes of a migration are kept in their order, the last ones of many", () => {
  const log = new PassLog();
  const other = new PassLog(log.buffer);
  expect(other.records()).toEqual([]);
  for (let pass = 1; pass <= KEPT_PASSES + 5; pass++) log.add(record(pass));
  expect(other.records()).toEqual(Array.from({ length: KEPT_PASSES }, (_, n) => record(n + 6)));
  log.reset();
  expect(other.records()).toEqual([]);
  log.add(record(1));
  expect(other.records()).toEqual([record(1)]);
});
