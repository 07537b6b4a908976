import { openRam as openTestRam } from "@peregrine/shared-state/testing";
import type { GuestRam, RamAccess } from "@peregrine/shared-state";

/** Access to guest memory whose pages have to be copied out of it. */
export function copiedAccess({ data }: RamAccess): RamAccess {
  return { module: import.meta.url, data };
}

/** The thread finds it by its name. @public */
export function openRam(data: unknown): GuestRam {
  const ram = openTestRam(data);
  Object.assign(ram, { inPlace: undefined });
  return ram;
}
