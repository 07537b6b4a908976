import { MigrationError } from "@peregrine/protocol";
import type { CapabilityStates, Machine, MigrateRequest } from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";

/** Where any number of connections can be made. */
const MULTI_CHANNEL: ReadonlySet<Address["kind"]> = new Set(["tcp", "unix", "ws", "wss"]);

/** Errors: BAD_PARAMETER when a capability is on that does not go with where the migration is to go. */
export function requireFittingTransport(capabilities: CapabilityStates, address: Address): void {
  if (capabilities["mapped-ram"] && address.kind !== "file") {
    throw new MigrationError(
      "BAD_PARAMETER",
      "Migration requires seekable transport (e.g. file): name a file, or switch the capability mapped-ram off",
    );
  }
  if (capabilities.multifd && !MULTI_CHANNEL.has(address.kind)) {
    throw new MigrationError(
      "BAD_PARAMETER",
      "Migration requires multi-channel URIs (e.g. tcp): name one, or switch the capability multifd off",
    );
  }
}

/** Errors: BAD_PARAMETER when the contents of drives are to be sent, and the machine has none. */
export function requireDrives({ storage }: MigrateRequest, { drives }: Machine): void {
  if (storage === undefined || (drives !== undefined && drives.drives.length > 0)) return;
  const parameter = storage === "all" ? "blk" : "inc";
  throw new MigrationError(
    "BAD_PARAMETER",
    `Parameter '${parameter}' cannot be true: the guest has no disks to migrate`,
  );
}

/** Errors: BAD_PARAMETER when something is asked for that this machine, or where it is to go, cannot do. */
export function requireFittingRequest(request: MigrateRequest, address: Address, machine: Machine): void {
  if (request.copy === true && address.kind !== "file") {
    throw new MigrationError(
      "BAD_PARAMETER",
      "A guest that goes on here can only be copied into a file: name one as file:PATH",
    );
  }
  if (request.paused === true && machine.carried !== undefined) {
    throw new MigrationError(
      "BAD_PARAMETER",
      "The run state of a virtual machine is sent as it came: start its destination with -S to have it paused",
    );
  }
}
