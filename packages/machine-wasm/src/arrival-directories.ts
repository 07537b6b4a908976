import { DRIVES_PATH, DRIVES_ROOT } from "./wasi/drive-files.ts";
import type { ResolvePreopen } from "./wasi/reopen.ts";
import type { Preopen } from "./wasi/state.ts";

/**
 * Which directories of this host a guest may have that arrives. Where they were at the source is the source's word: one
 * that lies could have the guest read whatever the user of this host can.
 */
export interface ArrivalDirectories {
  /** Where directories are here, by the guest's path. */
  readonly given: readonly Preopen[];
  /** Whether the others are at the path that they had at the source. False refuses a guest that has others. */
  readonly othersAsAtSource: boolean;
}

/** No directory but the one of its drives, if it is to have some. */
export const NO_DIRECTORIES: ArrivalDirectories = { given: [], othersAsAtSource: false };

/** Where each directory of a guest is on this host. */
export function resolverOf({ given, othersAsAtSource }: ArrivalDirectories): ResolvePreopen {
  const here = new Map(given.map(({ guestPath, hostPath }) => [guestPath, hostPath]));
  return ({ guestPath, hostPath }) => {
    const isOfDrives = guestPath === DRIVES_PATH && hostPath === DRIVES_ROOT;
    return here.get(guestPath) ?? (othersAsAtSource || isOfDrives ? hostPath : undefined);
  };
}
