import * as fc from "fast-check";
import {
  DeltaPage,
  encodeDelta,
  hasWasmKernels,
  TypeScriptPageKernel,
  WasmPageKernel,
  workMemoryBytes,
} from "../src/index.ts";
import type { PageKernel } from "../src/index.ts";
import { mutate, mutations } from "./mutation.ts";
import { require } from "./oracle.ts";

const PAGE = 4096;
const WORK_BYTES = workMemoryBytes([PAGE, 3 * PAGE]);

/** Runs of bytes that differ from a page of zeros. */
const changedPage = fc
  .array(fc.record({ at: fc.nat(PAGE - 1), bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }) }), {
    maxLength: 20,
  })
  .map((runs) => {
    const page = new Uint8Array(PAGE);
    for (const { at, bytes } of runs) page.set(bytes.subarray(0, PAGE - at), at);
    return page;
  });

const kernels: readonly PageKernel[] = [
  new TypeScriptPageKernel(WORK_BYTES),
  ...(hasWasmKernels() ? [new WasmPageKernel(WORK_BYTES)] : []),
];
const places = kernels.map((kernel) => ({ kernel, delta: kernel.take(PAGE), area: kernel.take(3 * PAGE) }));

/**
 * Deltas: a mutated one is refused by the check and by the application alike, by all kernels, and writes nothing around the
 * page.
 */
export function deltaProperty(): fc.IPropertyWithHooks<unknown> {
  return fc.property(changedPage, mutations, fc.uint8Array({ maxLength: 12 }), (page, changes, donor) => {
    const target = new Uint8Array(PAGE);
    const length = encodeDelta(new DeltaPage(new Uint8Array(PAGE)), new DeltaPage(page), target);
    const bytes = target.subarray(0, Math.max(0, length));
    const sample = { name: "delta", bytes, ends: [[0], [bytes.length]] };
    const delta = mutate(sample, changes, [sample, { name: "other", bytes: donor, ends: [[0]] }]).subarray(
      0,
      PAGE,
    );
    const results = places.map(({ kernel, delta: deltaAt, area }) => {
      const memory = kernel.bytes.subarray(area, area + 3 * PAGE).fill(0);
      kernel.bytes.set(delta, deltaAt);
      const fits = kernel.checkDelta(deltaAt, delta.length);
      const applied = kernel.applyDelta(deltaAt, delta.length, area + PAGE);
      require(fits === applied, "a delta that is checked and applied differently");
      const around = [memory.subarray(0, PAGE), memory.subarray(2 * PAGE)];
      require(around.every((one) => one.every((byte) => byte === 0)), "a delta that goes beyond its page");
      const result = memory.subarray(PAGE, 2 * PAGE);
      if (changes.length === 0 && applied) {
        require(Buffer.compare(result, page) === 0, "a delta of another page");
      }
      return { applied, result };
    });
    const [first, ...others] = results;
    for (const other of others) {
      require(other.applied === first!.applied, "a delta that only one kernel takes");
      if (other.applied) require(Buffer.compare(other.result, first!.result) === 0, "kernels that differ");
    }
  });
}
