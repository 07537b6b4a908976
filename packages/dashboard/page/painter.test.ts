import { expect, test } from "vitest";
import { pauseAfter } from "./painter.ts";

test("drawing takes a small part of the time, and what is shown is never old", () => {
  expect([0, 4, 10, 20, 40, 1000].map(pauseAfter)).toEqual([500, 500, 500, 1000, 1000, 1000]);
});
