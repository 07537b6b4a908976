import { listen, parseUri } from "@peregrine/transport";
import type { Address, ServerTls } from "@peregrine/transport";
import { MigrationError } from "@peregrine/protocol";
import { check, failed } from "./check.ts";
import type { Check } from "./check.ts";

/** What can be done about an address that cannot be listened on, by the code of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  EADDRINUSE: "another process has it; end that, or take another port, such as 0 for any",
  EADDRNOTAVAIL: "no network interface of this host has that address",
  EACCES: "this user may not; take a port from 1024 on, or a directory of your own",
  ENOENT: "make the directory of the socket first, or the file",
  ENOTFOUND: "no such name; give an address of this host",
};

const LOOPBACK = /^(?:127\.|::1$|localhost$)/u;

/** Whether a guest could be awaited there. Listens for a moment. */
export async function incomingChecks(uri: string, tls: ServerTls | undefined): Promise<readonly Check[]> {
  const address = parseUri(uri, "incoming");
  if (address.kind === "exec")
    return [check("command", "note", "a command is not run to see whether it can be")];
  if (address.kind === "fd")
    return [check("descriptor", "note", "a descriptor is known to the process alone that has it")];
  try {
    const listener = await listen(uri, { tls });
    await listener.close();
  } catch (error) {
    const known = MigrationError.from(error);
    const { code = "" } = (known.cause ?? {}) as NodeJS.ErrnoException;
    return [failed("listen", known, ADVICE[code])];
  }
  const what = address.kind === "file" ? "can be read" : "can be listened on";
  return [check("listen", "ok", `${uri} ${what}`), ...audience(address, tls)];
}

/** Who can come. */
function audience(address: Address, tls: ServerTls | undefined): readonly Check[] {
  if (!("host" in address)) return [];
  if (LOOPBACK.test(address.host)) {
    return [check("audience", "note", "processes of this host alone can connect to that address")];
  }
  if (tls === undefined && address.kind !== "wss") {
    return [
      check(
        "audience",
        "warning",
        "whoever reaches that address can send a guest; --tls-creds lets in only who is known",
      ),
    ];
  }
  return [];
}
