import * as fc from "fast-check";
import { applyDelta, checkDelta, DeltaPage, encodeDelta } from "../src/index.ts";
import { mutate, mutations } from "./mutation.ts";
import { require, requireRefusal } from "./oracle.ts";

const PAGE = 4096;

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

function isRefused(action: () => void): boolean {
  try {
    action();
    return false;
  } catch (error) {
    requireRefusal(error, 0, 0);
    return true;
  }
}

/** Deltas: a mutated one is refused by the check and by the application alike, and writes nothing behind the page. */
export function deltaProperty(): fc.IPropertyWithHooks<unknown> {
  return fc.property(changedPage, mutations, fc.uint8Array({ maxLength: 12 }), (page, changes, donor) => {
    const target = new Uint8Array(PAGE);
    const length = encodeDelta(new DeltaPage(new Uint8Array(PAGE)), new DeltaPage(page), target);
    const bytes = target.subarray(0, Math.max(0, length));
    const sample = { name: "delta", bytes, ends: [[0], [bytes.length]] };
    const delta = mutate(sample, changes, [sample, { name: "other", bytes: donor, ends: [[0]] }]);
    const memory = new Uint8Array(3 * PAGE);
    const place = { offset: 0 };
    const refused = isRefused(() => checkDelta(delta, PAGE, place));
    const applied = !isRefused(() => {
      checkDelta(delta, PAGE, place);
      applyDelta(delta, memory.subarray(PAGE, 2 * PAGE));
    });
    require(refused !== applied, "a delta that is checked and applied differently");
    const around = [memory.subarray(0, PAGE), memory.subarray(2 * PAGE)];
    require(around.every((one) => one.every((byte) => byte === 0)), "a delta that goes beyond its page");
    if (changes.length === 0 && applied) {
      require(Buffer.compare(memory.subarray(PAGE, 2 * PAGE), page) === 0, "a delta of another page");
    }
  });
}
