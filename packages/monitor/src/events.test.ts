import { expect, test } from "vitest";
import { toTimestamp } from "./events.ts";

test("the time of an event is seconds and microseconds", () => {
  expect(toTimestamp(0)).toEqual({ seconds: 0, microseconds: 0 });
  expect(toTimestamp(1999.9999)).toEqual({ seconds: 1, microseconds: 999_999 });
  expect(toTimestamp(1_700_000_000_000.25)).toEqual({ seconds: 1_700_000_000, microseconds: 250 });
});
