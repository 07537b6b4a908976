import { MigrationError } from "@peregrine/protocol";
import { type HostFiles, type ResolvePreopen, WasiHost, type WasiState } from "./wasi/index.ts";

/**
 * Looks, while the guest still runs at the source, whether this host has its files. The directories it was given must be here.
 * Of the files it had open a moment ago one may be missing because the guest has deleted it since; so only when all of
 * them are missing is the storage taken not to be shared. The rest is found when the guest's last state is loaded: that fails
 * as well, and the guest goes on at the source.
 * Errors: DEVICE_STATE, listing what cannot be opened.
 */
export function checkSetup(state: WasiState, files: HostFiles, resolvePreopen: ResolvePreopen): void {
  const given = state.descriptors.filter(
    (descriptor) =>
      descriptor.kind === "console" || (descriptor.kind === "directory" && descriptor.preopened),
  );
  const check = (descriptors: WasiState["descriptors"]): void =>
    WasiHost.check({ ...state, descriptors }, files, resolvePreopen);
  check(given);
  const opened = state.descriptors.filter((descriptor) => descriptor.kind === "file");
  const isHere = (descriptor: WasiState["descriptors"][number]): boolean => {
    try {
      check([...given, descriptor]);
      return true;
    } catch (error) {
      if (MigrationError.is(error)) return false;
      throw error;
    }
  };
  if (opened.length > 0 && !opened.some(isHere)) check([...given, ...opened]);
}
