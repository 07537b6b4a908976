import type { DriveAccess, OpenOutgoingDrives, OutgoingDrives } from "@peregrine/shared-state";
import { openOutgoingDrives as openTestDrives } from "@peregrine/shared-state/testing";

/** Access to test drives whose reads take until {@link letGo}. */
export function heldAccess({ data }: DriveAccess, gate: SharedArrayBuffer): DriveAccess {
  return { module: import.meta.url, data: { data, gate } };
}

/** Makes a gate for {@link heldAccess}. */
export function closedGate(): SharedArrayBuffer {
  return new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
}

export function letGo(gate: SharedArrayBuffer): void {
  const word = new Int32Array(gate);
  Atomics.store(word, 0, 1);
  Atomics.notify(word, 0);
}

/** The thread finds it by its name. @public */
export const openOutgoingDrives: OpenOutgoingDrives = async (options): Promise<OutgoingDrives> => {
  const { data, gate } = options as { data: unknown; gate: SharedArrayBuffer };
  const drives = await openTestDrives(data);
  return {
    ...drives,
    read: async (drive, chunk, target) => {
      await Atomics.waitAsync(new Int32Array(gate), 0, 0).value;
      await drives.read(drive, chunk, target);
    },
  };
};
