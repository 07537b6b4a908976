import { openRam as openTestRam } from "@peregrine/shared-state/testing";
import type { TestRamData } from "@peregrine/shared-state/testing";
import type { GuestRam } from "@peregrine/shared-state";

export interface CarriedRamData {
  readonly ram: TestRamData;
  /** One Int32: pages that were sent. */
  readonly sent: SharedArrayBuffer;
}

/** Memory whose log holds all that has contents. */
export function openRam(data: unknown): GuestRam {
  const { ram, sent } = data as CarriedRamData;
  return Object.assign(openTestRam(ram), {
    logsAllContents: true,
    sent: (pages: number) => void Atomics.add(new Int32Array(sent), 0, pages),
  });
}
