import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { KERNEL_MODULES_FILE, renderKernelModules } from "../kernels/build.ts";

it("are those of the sources; `node packages/machine-wasm/kernels/build.ts` makes them anew", () => {
  expect(readFileSync(KERNEL_MODULES_FILE, "utf8")).toBe(renderKernelModules());
});
