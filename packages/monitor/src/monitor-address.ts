import { MigrationError } from "@peregrine/protocol";
import { parseUri } from "@peregrine/transport";
import type { TcpAddress, UnixAddress, WebSocketAddress } from "@peregrine/transport";
import { checkLoopback } from "./access/loopback.ts";

/** Who is served at an address: programs, which speak QMP, or people. */
export type MonitorKind = "qmp" | "human";

/** Where a monitor can be served. */
type MonitorAddress = TcpAddress | UnixAddress | WebSocketAddress;

const FORMS: Readonly<Record<MonitorKind, string>> = {
  qmp: "tcp:HOST:PORT, unix:PATH or ws://127.0.0.1:PORT",
  human: "tcp:HOST:PORT or unix:PATH",
};

/** Understands where a monitor is to be served. Errors: UNKNOWN_SCHEME, BAD_ADDRESS. */
export function parseMonitorAddress(uri: string, kind: MonitorKind): MonitorAddress {
  const address = parseUri(uri, "incoming");
  if (address.kind === "tcp" || address.kind === "unix") return address;
  if (address.kind !== "ws" || kind !== "qmp") {
    throw new MigrationError("BAD_ADDRESS", `No monitor can be served at '${uri}'; give ${FORMS[kind]}`);
  }
  checkLoopback(address.host);
  return address;
}
