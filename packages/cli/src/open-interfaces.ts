import { NetworkInterface } from "@peregrine/dest-agent";
import { MigrationError } from "@peregrine/protocol";
import type { NicOptions } from "./command-options.ts";

/**
 * The network interfaces of a command line. Those without an id are `net0`, `net1` and so on, by their place.
 * @param say prints one line for the user: why a network cannot be reached.
 * Errors: BAD_PARAMETER for an id that comes twice; BAD_ADDRESS.
 */
export function openInterfaces(nics: readonly NicOptions[], say: (text: string) => void): NetworkInterface[] {
  const ids = nics.map(({ id }, place) => id ?? `net${place}`);
  const twice = ids.find((id, place) => ids.indexOf(id) < place);
  if (twice !== undefined) {
    throw new MigrationError(
      "BAD_PARAMETER",
      `Two network interfaces have the id '${twice}'; give each one of its own`,
    );
  }
  return nics.map(
    ({ mac, netdev }, place) =>
      new NetworkInterface({ id: ids[place]!, mac, netdev }, ({ code, message }) =>
        say(`${code}: ${message}; what the interface '${ids[place]}' announces is lost`),
      ),
  );
}
