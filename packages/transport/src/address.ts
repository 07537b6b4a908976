import { MigrationError } from "@peregrine/protocol";

export interface TcpAddress {
  readonly kind: "tcp";
  /** A name, an IPv4 address or an IPv6 address without brackets. Empty: every local address. */
  readonly host: string;
  readonly port: number;
}

export interface UnixAddress {
  readonly kind: "unix";
  readonly path: string;
}

export type Address = TcpAddress | UnixAddress;

/** Size of `sun_path` on Linux, with the terminating zero. */
const UNIX_PATH_LIMIT = 108;

const HOST_AND_PORT = /^(?:\[(?<bracketed>[0-9A-Fa-f:.%\w]+)\]|(?<plain>[^:[\]/,\s]*)):(?<port>\d{1,5})$/u;

/** `HOST:PORT` or `[IPV6]:PORT`. Errors: BAD_ADDRESS. */
export function parseTcpAddress(text: string): TcpAddress {
  const groups = HOST_AND_PORT.exec(text)?.groups;
  const port = Number(groups?.["port"]);
  if (groups === undefined || port > 65_535) {
    throw new MigrationError("BAD_ADDRESS", `error parsing address '${text}'`);
  }
  return { kind: "tcp", host: groups["bracketed"] ?? groups["plain"] ?? "", port };
}

/** The path of a Unix socket. Errors: BAD_ADDRESS. */
export function parseUnixAddress(text: string): UnixAddress {
  if (text === "" || text.includes("\0")) {
    throw new MigrationError("BAD_ADDRESS", "invalid Unix socket address");
  }
  if (new TextEncoder().encode(text).length >= UNIX_PATH_LIMIT) {
    throw new MigrationError(
      "BAD_ADDRESS",
      `invalid Unix socket address: '${text}' is longer than ${UNIX_PATH_LIMIT - 1} bytes`,
    );
  }
  return { kind: "unix", path: text };
}

/** The address as error texts name it, without the scheme. */
export function describeAddress(address: Address): string {
  if (address.kind === "unix") return address.path;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** The inverse of `parseUri`. */
export function formatUri(address: Address): string {
  return `${address.kind}:${describeAddress(address)}`;
}
