import { MigrationError } from "@peregrine/protocol";
import { parseFileOffset } from "./file-offset.ts";

/** `tcp:HOST:PORT` */
export interface TcpAddress {
  readonly kind: "tcp";
  /** A name, an IPv4 address or an IPv6 address without brackets. Empty: every local address. */
  readonly host: string;
  readonly port: number;
}

/** `unix:PATH` */
export interface UnixAddress {
  readonly kind: "unix";
  readonly path: string;
}

/** `file:PATH[,offset=N]` */
export interface FileAddress {
  readonly kind: "file";
  readonly path: string;
  /** Byte of the file at which the stream begins. */
  readonly offset: number;
}

export interface ExecAddress {
  readonly kind: "exec";
  /** What `/bin/sh -c` is given. */
  readonly command: string;
}

export interface FdAddress {
  readonly kind: "fd";
  /** A descriptor of this process, or the name of one that a monitor's client has handed over. */
  readonly descriptor: number | string;
}

/** `ws://HOST:PORT[/PATH]` or `wss://HOST:PORT[/PATH]` */
export interface WebSocketAddress {
  /** `wss` has TLS below it. */
  readonly kind: "ws" | "wss";
  /** A name, an IPv4 address or an IPv6 address without brackets. */
  readonly host: string;
  readonly port: number;
  /** Path of the request; begins with a slash. */
  readonly resource: string;
  /** Paths of PEM files, of `wss` alone. */
  readonly tls: TlsFiles;
}

export interface TlsFiles {
  /** Certificate and key of who listens. */
  readonly cert?: string;
  readonly key?: string;
  /** Authorities that who connects accepts, beside those of the system. */
  readonly ca?: string;
}

/** A URI taken apart. */
export type Address = TcpAddress | UnixAddress | FileAddress | ExecAddress | FdAddress | WebSocketAddress;

/** Size of `sun_path` on Linux, with the terminating zero. */
const UNIX_PATH_LIMIT = 108;

const HOST_AND_PORT = /^(?:\[(?<bracketed>[0-9A-Fa-f:.%\w]+)\]|(?<plain>[^:[\]/,\s]*)):(?<port>\d{1,5})$/u;

const OFFSET_OPTION = ",offset=";

/** Decimal digits that a descriptor's number can have. */
const DESCRIPTOR_NUMBER = /^\d{1,9}$/u;

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

/** `PATH` or `PATH,offset=N`. Errors: BAD_ADDRESS. */
export function parseFileAddress(text: string): FileAddress {
  const at = text.lastIndexOf(OFFSET_OPTION);
  const path = at < 0 ? text : text.slice(0, at);
  if (path === "" || path.includes("\0")) throw new MigrationError("BAD_ADDRESS", "invalid file address");
  const offset = at < 0 ? 0 : parseFileOffset(text.slice(at + OFFSET_OPTION.length));
  return { kind: "file", path, offset };
}

/** A command of the shell. Errors: BAD_ADDRESS. */
export function parseExecAddress(text: string): ExecAddress {
  if (text.trim() === "" || text.includes("\0")) {
    throw new MigrationError("BAD_ADDRESS", "invalid exec address: a command has to follow 'exec:'");
  }
  return { kind: "exec", command: text };
}

/** `NUMBER` or `NAME`. Errors: BAD_ADDRESS. */
export function parseFdAddress(text: string): FdAddress {
  if (text === "") throw new MigrationError("BAD_ADDRESS", "invalid file descriptor address");
  return { kind: "fd", descriptor: DESCRIPTOR_NUMBER.test(text) ? Number(text) : text };
}

/** The address as error texts name it, without the scheme. */
export function describeAddress(address: Address): string {
  switch (address.kind) {
    case "unix":
    case "file":
      return address.path;
    case "exec":
      return address.command;
    case "fd":
      return `${address.descriptor}`;
    default: {
      const host = address.host.includes(":") ? `[${address.host}]` : address.host;
      return `${host}:${address.port}`;
    }
  }
}

/** The inverse of `parseUri`. */
export function formatUri(address: Address): string {
  const described = describeAddress(address);
  switch (address.kind) {
    case "file": {
      const needsOffset = address.offset > 0 || address.path.includes(OFFSET_OPTION);
      return `file:${described}${needsOffset ? `${OFFSET_OPTION}${address.offset}` : ""}`;
    }
    case "ws":
    case "wss": {
      const query = new URLSearchParams({ ...address.tls }).toString();
      return `${address.kind}://${described}${address.resource}${query === "" ? "" : `?${query}`}`;
    }
    default:
      return `${address.kind}:${described}`;
  }
}
