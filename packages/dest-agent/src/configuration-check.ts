import { MigrationError, WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { Configuration } from "@peregrine/protocol";

const PAGE_BITS = Math.log2(WIRE_PAGE_SIZE);

const SWITCHOVER_ACK = "switchover-ack";

/** Why a capability that changes the stream cannot be on, and what to do about it. */
const REASONS: ReadonlyMap<string, string> = new Map([
  ["mapped-ram", "it is for files: switch it off, or migrate into a file"],
  ["x-ignore-shared", "the memory that it leaves out would be missing: switch it off"],
]);

/**
 * Checks what every machine depends on in the same way.
 *
 * @param inFile whether the stream is read from a file, where pages can have their places.
 * Errors: BAD_SECTION for another page size and for capabilities that are not understood.
 */
export function requireLoadable({ targetPageBits, capabilities }: Configuration, inFile: boolean): void {
  if (targetPageBits !== undefined && targetPageBits !== PAGE_BITS) {
    const text = `Page size received is 2^${targetPageBits} bytes and local is 2^${PAGE_BITS}`;
    throw new MigrationError("BAD_SECTION", text);
  }
  for (const capability of capabilities ?? []) {
    if (capability === SWITCHOVER_ACK || (inFile && capability === "mapped-ram")) continue;
    const reason = REASONS.get(capability);
    const text = `Capability '${capability}' is on at the source, but not here`;
    throw new MigrationError("BAD_SECTION", reason === undefined ? text : `${text}; ${reason}`);
  }
}

export function isMappedRam({ capabilities }: Configuration): boolean {
  return capabilities?.includes("mapped-ram") === true;
}

/** Whether the source waits to be told that it can switch over. */
export function awaitsSwitchoverAck({ capabilities }: Configuration): boolean {
  return capabilities?.includes(SWITCHOVER_ACK) === true;
}
