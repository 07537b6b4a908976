import type { IncomingInfo, SocketAddress } from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";
import { isIPv6 } from "node:net";
import type { IncomingStatus } from "./incoming-result.ts";

/**
 * An incoming migration as the monitor's clients know one.
 * @param address where it listens or has listened; undefined before.
 */
export function incomingInfo(status: IncomingStatus, address: Address | undefined): IncomingInfo {
  switch (status.kind) {
    case "setup":
      return {};
    case "listening":
      return { status: "setup", ...socketsAt(address) };
    case "active":
      return { status: "active", ...socketsAt(address) };
    case "undecided":
      return { status: "active", "error-desc": status.error.message };
    case "loaded":
      return { status: "completed" };
    default:
      status satisfies { kind: "failed" };
      return { status: "failed", "error-desc": `load of migration failed: ${status.error.message}` };
  }
}

function socketsAt(address: Address | undefined): { readonly "socket-address"?: readonly SocketAddress[] } {
  switch (address?.kind) {
    case "tcp": {
      const { host, port } = address;
      const family = isIPv6(host) ? ({ ipv6: true } as const) : ({ ipv4: true } as const);
      return { "socket-address": [{ type: "inet", host, port: String(port), ...family }] };
    }
    case "unix":
      return { "socket-address": [{ type: "unix", path: address.path }] };
    default:
      return {};
  }
}
