import { GLOBAL_STATE_SECTION, MigrationError } from "@peregrine/protocol";
import type { Device } from "./device-registry.ts";
import type { RunControl } from "./run-control.ts";
import { isMigratable } from "./run-state.ts";
import { defineState } from "./state-description.ts";
import type { StateOf } from "./state-description.ts";

const TEXT_BYTES = 100;

const description = defineState({
  name: GLOBAL_STATE_SECTION.name,
  version: GLOBAL_STATE_SECTION.version,
  fields: [
    /** Bytes of the text with its NUL. */
    { name: "size", type: "uint32" },
    { name: "runstate", type: "buffer", length: TEXT_BYTES },
  ],
});

type GlobalState = StateOf<typeof description>;

/**
 * The run state as a device: saves the one that the guest had before `finish-migrate`, and on load
 * keeps the source's in {@link RunControl.received}, where {@link RunControl.arrive} finds it.
 */
export function globalStateDevice(run: RunControl): Device {
  return {
    description,
    instance: GLOBAL_STATE_SECTION.instance,
    early: false,
    save(): GlobalState {
      const state = run.migratedState;
      if (state === undefined) {
        throw new MigrationError("DEVICE_STATE", `A guest in run state '${run.state}' cannot be sent`);
      }
      const runstate = new Uint8Array(TEXT_BYTES);
      const { written } = new TextEncoder().encodeInto(state, runstate);
      return { size: written + 1, runstate };
    },
    load({ size, runstate }: GlobalState): void {
      const end = runstate.indexOf(0);
      const state = new TextDecoder().decode(runstate.subarray(0, Math.max(end, 0)));
      if (size > TEXT_BYTES || end < 0 || !isMigratable(state)) {
        throw new MigrationError("DEVICE_STATE", `${JSON.stringify(state)} is no run state to arrive in`);
      }
      run.received = state;
    },
  };
}
