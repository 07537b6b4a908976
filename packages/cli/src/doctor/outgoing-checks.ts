import { MigrationError } from "@peregrine/protocol";
import { formatSize } from "@peregrine/shared-state";
import type { Address, ClientTls } from "@peregrine/transport";
import { parseUri, systemError } from "@peregrine/transport";
import { probe } from "@peregrine/transport/probe";
import type { ProbedTls } from "@peregrine/transport/probe";
import { lookup } from "node:dns/promises";
import { access, constants, stat, statfs } from "node:fs/promises";
import { isIP } from "node:net";
import { dirname } from "node:path";
import { check, checked, failed } from "./check.ts";
import type { Check } from "./check.ts";
import { validity } from "./credential-checks.ts";

/** How long the destination may take, milliseconds. */
const CONNECT_TIMEOUT_MS = 10_000;

/** What can be done about a connection that cannot be made, by the code of the system. */
const ADVICE: Readonly<Record<string, string>> = {
  ECONNREFUSED: "nobody waits there; is the destination started, and is it this port?",
  EHOSTUNREACH: "no way leads to that host; look at addresses, routes and firewalls",
  ENETUNREACH: "no way leads to that network; look at addresses, routes and firewalls",
  ETIMEDOUT: "nothing answers; a firewall may drop what is sent there",
  ENOENT: "there is no such socket; is the destination started, and is it this path?",
  EACCES: "this user may not use that socket; look at its permissions and those of its directory",
};

export interface OutgoingTarget {
  readonly uri: string;
  /** Undefined: no TLS. */
  readonly tls: ClientTls | undefined;
  /** Bytes of memory that are to be sent, where that is known. */
  readonly memory: number | undefined;
  /** False: nobody is connected to. */
  readonly connects: boolean;
}

/** Whether a migration could go there. Nothing is sent. */
export async function outgoingChecks(target: OutgoingTarget): Promise<readonly Check[]> {
  const address = parseUri(target.uri);
  switch (address.kind) {
    case "file":
      return [await checked("file", () => fileCheck(address.path, target.memory))];
    case "exec":
      return [check("command", "note", "a command is not run to see whether it can be")];
    case "fd":
      return [check("descriptor", "note", "a descriptor is known to the guest's agent alone")];
    default: {
      const name = await nameCheck(address);
      if (name?.status === "failed") return [name];
      const found = name === undefined ? [] : [name];
      if (target.connects) return [...found, ...(await connectionChecks(target))];
      return [...found, check("reach", "note", "left out, as --no-connect says")];
    }
  }
}

/** The addresses of a host. Undefined where it is an address itself, or the other end is a path. */
async function nameCheck(address: Address): Promise<Check | undefined> {
  if (!("host" in address) || address.host === "" || isIP(address.host) !== 0) return undefined;
  const { host } = address;
  try {
    const found = await lookup(host, { all: true });
    return check("name", "ok", `'${host}' is ${found.map((one) => one.address).join(", ")}`);
  } catch (error) {
    const cause = systemError("CONNECT_FAILED", `'${host}' cannot be resolved`, error);
    return failed("name", cause, "look at its spelling, and at the name servers of this host");
  }
}

async function connectionChecks({ uri, tls }: OutgoingTarget): Promise<readonly Check[]> {
  const reached = check("reach", "ok", `somebody waits on ${uri}`);
  try {
    const result = await probe(uri, { tls, signal: AbortSignal.timeout(CONNECT_TIMEOUT_MS) });
    return [reached, ...(result.tls === undefined ? withoutTls(uri) : tlsChecks(result.tls))];
  } catch (error) {
    const known = MigrationError.from(error);
    if (known.code === "TLS_FAILED" || known.code === "CHANNEL_CUT") return [reached, failed("tls", known)];
    const { code = "" } = (known.cause ?? {}) as NodeJS.ErrnoException;
    const isTimeout = known.message.endsWith("Connection timed out");
    return [failed("reach", known, ADVICE[isTimeout ? "ETIMEDOUT" : code])];
  }
}

function withoutTls(uri: string): readonly Check[] {
  const { kind } = parseUri(uri);
  if (kind === "unix" || kind === "wss") return [];
  return [
    check(
      "tls",
      "note",
      "none: whoever is on the way can read the guest, and change it; --tls-creds has TLS",
    ),
  ];
}

function tlsChecks({ certificate, accepted }: ProbedTls): readonly Check[] {
  const who = certificate === undefined ? [] : [validity("peer cert", certificate)];
  const verdict =
    accepted === true
      ? check("tls", "ok", "each side accepts the other one")
      : check(
          "tls",
          "note",
          "the destination is who it should be; it is no Peregrine, so whether it accepts this side shows only in a migration",
        );
  return [...who, verdict];
}

/** Whether a new file can be made there, and has room. */
async function fileCheck(path: string, memory: number | undefined): Promise<Check> {
  const directory = dirname(path);
  const found = await stat(path).catch(() => undefined);
  if (found !== undefined && found.size > 0) {
    throw new MigrationError(
      "WRITE_FAILED",
      `'${path}' is there already, and what is in a file is not overwritten`,
    );
  }
  await access(found === undefined ? directory : path, constants.W_OK).catch((error: unknown) => {
    throw systemError("WRITE_FAILED", `'${path}' cannot be written`, error);
  });
  const { bavail, bsize } = await statfs(directory);
  const room = bavail * bsize;
  const text = `'${path}' can be written, and ${formatSize(room)} are free there`;
  if (memory === undefined || memory <= room) return check("file", "ok", text);
  throw new MigrationError("WRITE_FAILED", `${text}, and ${formatSize(memory)} may be needed`);
}
