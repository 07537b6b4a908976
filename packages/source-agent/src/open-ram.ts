import { MigrationError } from "@peregrine/protocol";
import type { GuestRam, OpenRam, RamAccess } from "@peregrine/shared-state";

/** Opens guest memory in this thread. Errors: INTERNAL when the module is not what it should be. */
export async function openRam({ module, data }: RamAccess): Promise<GuestRam> {
  const { openRam: open } = (await import(module)) as { readonly openRam?: OpenRam };
  if (open === undefined) {
    throw new MigrationError("INTERNAL", `the module '${module}' does not open guest memory`);
  }
  return open(data);
}
