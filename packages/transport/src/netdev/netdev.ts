import { MigrationError } from "@peregrine/protocol";
import { parseTcpAddress, parseUnixAddress } from "../address.ts";
import type { TcpAddress, UnixAddress } from "../address.ts";
import { DatagramNetdev } from "./datagram-netdev.ts";
import { StreamNetdev } from "./stream-netdev.ts";

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

/** `stream`: a connection is made to the address. `dgram`: each frame is a datagram to it. */
export type NetdevAddress =
  | { readonly kind: "stream"; readonly address: TcpAddress | UnixAddress }
  | { readonly kind: "dgram"; readonly address: TcpAddress };

/** `stream:tcp:HOST:PORT`, `stream:unix:PATH` or `dgram:HOST:PORT`. Errors: BAD_ADDRESS. */
export function parseNetdev(text: string): NetdevAddress {
  const [, scheme, rest] = /^(stream:tcp|stream:unix|dgram):(.*)$/su.exec(text) ?? [];
  if (scheme === undefined || rest === undefined) {
    const message = `'${text}' is no netdev: it has to be stream:tcp:HOST:PORT, stream:unix:PATH or dgram:HOST:PORT`;
    throw new MigrationError("BAD_ADDRESS", message);
  }
  if (scheme === "stream:unix") return { kind: "stream", address: parseUnixAddress(rest) };
  return { kind: scheme === "dgram" ? "dgram" : "stream", address: parseTcpAddress(rest) };
}

/** Makes no connection yet. */
export function openNetdev({ kind, address }: NetdevAddress): Netdev {
  return kind === "dgram" ? new DatagramNetdev(address) : new StreamNetdev(address);
}
