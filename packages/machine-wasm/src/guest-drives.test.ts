import { ByteReader, ByteWriter } from "@peregrine/protocol";
import { encodeState, StateDecoder } from "@peregrine/shared-state";
import type { Drive } from "@peregrine/shared-state";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checkDrives, DRIVE_ID, MAX_DRIVES, saveDrives, WASM_DRIVES } from "./guest-drives.ts";
import type { WasmDrivesState } from "./guest-drives.ts";

/** As the section brings them to the other side. */
function travelled(drives: readonly Drive[]): WasmDrivesState {
  const writer = new ByteWriter();
  encodeState(WASM_DRIVES, saveDrives(drives), writer);
  const reader = new ByteReader();
  reader.push(writer.view().slice());
  const decoder = new StateDecoder(WASM_DRIVES);
  expect(decoder.decode(reader)).toBe(true);
  expect(reader.available).toBe(0);
  return decoder.value as unknown as WasmDrivesState;
}

const drive = fc.record({ id: fc.stringMatching(DRIVE_ID), length: fc.integer({ min: 1, max: 2 ** 44 }) });
const some = fc.uniqueArray(drive, { minLength: 1, maxLength: MAX_DRIVES, selector: ({ id }) => id });

describe("the drives that a guest says it has", () => {
  it("are found to be the same in any order, and to differ in anything else", () => {
    fc.assert(
      fc.property(some, fc.nat(), fc.boolean(), (drives, at, longer) => {
        const state = travelled(drives);
        checkDrives(state, [...drives].reverse());
        const index = at % drives.length;
        const changed = longer
          ? drives.with(index, { ...drives[index]!, length: drives[index]!.length + 1 })
          : drives.toSpliced(index, 1);
        const refusal = expect.objectContaining({ code: "BAD_DRIVE" });
        expect(() => checkDrives(state, changed)).toThrow(refusal);
        if (changed.length > 0) expect(() => checkDrives(travelled(changed), drives)).toThrow(refusal);
      }),
    );
  });

  it.each([
    ["none", []],
    ["the same twice", ["a", "a"]],
    ["one that names a file elsewhere", ["../a"]],
    ["one without a name", [""]],
  ])("cannot be %s", (_what, ids) => {
    const drives = ids.map((id) => ({ id, length: 10 }));
    const refusal = expect.objectContaining({ code: "BAD_SECTION", section: "wasm-drives" });
    expect(() => checkDrives(travelled(drives), [{ id: "a", length: 10 }])).toThrow(refusal);
  });
});
