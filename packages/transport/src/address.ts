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

export interface FileAddress {
  readonly kind: "file";
  readonly path: string;
  /** Byte of the file at which the stream begins. */
  readonly offset: number;
}

export type Address = TcpAddress | UnixAddress | FileAddress;

/** Size of `sun_path` on Linux, with the terminating zero. */
const UNIX_PATH_LIMIT = 108;

const HOST_AND_PORT = /^(?:\[(?<bracketed>[0-9A-Fa-f:.%\w]+)\]|(?<plain>[^:[\]/,\s]*)):(?<port>\d{1,5})$/u;

const OFFSET_OPTION = ",offset=";
const FILE_OFFSET = /^(?:\d+|0x[0-9A-Fa-f]+)$/u;

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

/** `PATH` or `PATH,offset=N`, the offset decimal or hexadecimal. Errors: BAD_ADDRESS. */
export function parseFileAddress(text: string): FileAddress {
  const at = text.lastIndexOf(OFFSET_OPTION);
  const path = at < 0 ? text : text.slice(0, at);
  const number = at < 0 ? "0" : text.slice(at + OFFSET_OPTION.length);
  if (path === "" || path.includes("\0")) throw new MigrationError("BAD_ADDRESS", "invalid file address");
  const offset = FILE_OFFSET.test(number) ? Number(number) : Number.NaN;
  if (!Number.isSafeInteger(offset)) {
    throw new MigrationError(
      "BAD_ADDRESS",
      `invalid file address: the offset '${number}' is no number of bytes`,
    );
  }
  return { kind: "file", path, offset };
}

/** The address as error texts name it, without the scheme. */
export function describeAddress(address: Address): string {
  if (address.kind !== "tcp") return address.path;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return `${host}:${address.port}`;
}

/** The inverse of `parseUri`. */
export function formatUri(address: Address): string {
  const uri = `${address.kind}:${describeAddress(address)}`;
  if (address.kind !== "file") return uri;
  const needsOffset = address.offset > 0 || address.path.includes(OFFSET_OPTION);
  return needsOffset ? `${uri}${OFFSET_OPTION}${address.offset}` : uri;
}
