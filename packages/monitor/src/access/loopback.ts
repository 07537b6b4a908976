import { MigrationError } from "@peregrine/protocol";
import { BlockList, isIP } from "node:net";

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Names of this machine: an address of the loopback interface, with or without brackets, or `localhost`. */
export function isLoopback(host: string): boolean {
  const address = host.replaceAll(/[[\]]/gu, "");
  if (host === "localhost") return true;
  const family = isIP(address);
  return family !== 0 && LOOPBACK.check(address, family === 4 ? "ipv4" : "ipv6");
}

/** Nothing is encrypted, the token neither, so nobody from elsewhere is let in. `what` listens. Errors: BAD_ADDRESS. */
export function checkLoopback(host: string, what = "A monitor over WebSocket"): void {
  if (isLoopback(host)) return;
  throw new MigrationError(
    "BAD_ADDRESS",
    `${what} has no encryption and so listens on this machine only: ` +
      `give 127.0.0.1, [::1] or localhost instead of '${host}'`,
  );
}
