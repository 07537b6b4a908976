import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { HARVEST_MODULE_FILE, renderHarvestModule } from "../kernels/build.ts";

it("is that of the source; `node packages/machine-wasm/kernels/build.ts` makes it anew", () => {
  expect(readFileSync(HARVEST_MODULE_FILE, "utf8")).toBe(renderHarvestModule());
});
