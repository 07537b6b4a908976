import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { KERNEL_MODULES, renderKernelModules } from "../../kernels/build.ts";

test("the modules are those of the sources; `node packages/protocol/kernels/build.ts` makes them anew", async () => {
  expect(readFileSync(KERNEL_MODULES, "utf8")).toBe(await renderKernelModules());
});
