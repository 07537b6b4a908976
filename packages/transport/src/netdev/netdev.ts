import { MigrationError } from "@peregrine/protocol";
import { parseTcpAddress, parseUnixAddress } from "../address.ts";
import type { TcpAddress, UnixAddress } from "../address.ts";
import { DatagramNetdev } from "./datagram-netdev.ts";
import { StreamNetdev } from "./stream-netdev.ts";
import { UnixDatagramNetdev } from "./unix-datagram-netdev.ts";

/** How a network interface is joined to a network: one end of a socket, at whose other end there is a switch or a peer. */
export interface Netdev {
  /**
   * Sends an Ethernet frame, one at a time. Resolves when the kernel has it. Connects first if there is no connection.
   * Errors: CONNECT_FAILED, CHANNEL_FAILED; CANCELLED when it is closed meanwhile.
   */
  send(frame: Uint8Array): Promise<void>;
  /** Gives the connection up; the next frame makes another one. */
  close(): void;
}

export interface NetdevAddress {
  /** `stream`: a connection is made to the address. `dgram`: each frame is a datagram to it. */
  readonly kind: "stream" | "dgram";
  readonly address: TcpAddress | UnixAddress;
}

const FORMS = "stream:tcp:HOST:PORT, stream:unix:PATH, dgram:HOST:PORT or dgram:unix:PATH";

/** `stream:tcp:HOST:PORT`, `stream:unix:PATH`, `dgram:HOST:PORT` or `dgram:unix:PATH`. Errors: BAD_ADDRESS. */
export function parseNetdev(text: string): NetdevAddress {
  const [, scheme, rest] = /^(stream:tcp|stream:unix|dgram:unix|dgram):(.*)$/su.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) {
    throw new MigrationError("BAD_ADDRESS", `'${text}' is no netdev: it has to be ${FORMS}`);
  }
  const kind = scheme.startsWith("dgram") ? "dgram" : "stream";
  return { kind, address: scheme.endsWith(":unix") ? parseUnixAddress(rest) : parseTcpAddress(rest) };
}

/** Makes no connection yet. */
export function openNetdev({ kind, address }: NetdevAddress): Netdev {
  if (kind === "stream") return new StreamNetdev(address);
  return address.kind === "unix" ? new UnixDatagramNetdev(address) : new DatagramNetdev(address);
}
