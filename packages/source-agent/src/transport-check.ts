import { MigrationError } from "@peregrine/protocol";
import type { CapabilityStates } from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";

/** Errors: BAD_PARAMETER when a capability is on that does not go with where the migration is to go. */
export function requireFittingTransport(capabilities: CapabilityStates, address: Address): void {
  const toFile = address.kind === "file";
  if (capabilities["mapped-ram"] && !toFile) {
    throw new MigrationError(
      "BAD_PARAMETER",
      "Migration requires seekable transport (e.g. file): name a file, or switch the capability mapped-ram off",
    );
  }
  if (capabilities.multifd && toFile) {
    throw new MigrationError(
      "BAD_PARAMETER",
      "Migration requires multi-channel URIs (e.g. tcp): name no file, or switch the capability multifd off",
    );
  }
}
