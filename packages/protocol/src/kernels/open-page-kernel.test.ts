import { describe, expect, test } from "vitest";
import { openPageKernel, preparePageKernels } from "./open-page-kernel.ts";
import { hasWasmKernels } from "./wasm-kernel.ts";

const PAGE = 4096;

describe("kernels that were prepared", () => {
  test("are those that are opened, and know nothing of what they were prepared with", () => {
    preparePageKernels();
    preparePageKernels();
    const kernel = openPageKernel(4 * PAGE);
    expect(kernel.implementation).toBe(hasWasmKernels() ? "wasm" : "typescript");
    expect(kernel.zeroCount).toBe(0);
    expect(kernel.bytes.every((byte) => byte === 0)).toBe(true);
    const page = kernel.take(PAGE);
    kernel.bytes[page] = 1;
    expect(kernel.zeroPages(page, 1)).toBe(0);
  });
});
