import type net from "node:net";
import { describeAddress, parseTcpAddress } from "./address.ts";
import type { TcpAddress } from "./address.ts";
import type { SocketTarget, Transport } from "./channel.ts";
import { prepareLinkWatch } from "./link-watch.ts";
import { connectSocket } from "./socket-connect.ts";
import { listenOnSocket } from "./socket-listener.ts";

const SOCKET_OPTIONS = { noDelay: true };

/** Time for each address of a name; Node's own quarter of a second is too short for a far host. */
const ATTEMPT_TIMEOUT_MS = 2000;

/** `tcp:HOST:PORT`. Without a host it connects to this machine and listens on every address of it. */
export const tcp: Transport = {
  parse: parseTcpAddress,

  target: targetOf,

  async connect(rest, options) {
    const { target, peer } = targetOf(rest);
    await prepareLinkWatch(options.keepalive);
    return connectSocket(target, peer, options);
  },

  async listen(rest, options) {
    const address = parseTcpAddress(rest);
    await prepareLinkWatch(options.keepalive);
    return listenOnSocket(withoutEmptyHost(address), {
      name: describeAddress(address),
      socketOptions: SOCKET_OPTIONS,
      channelOptions: options,
      boundAddress: (bound) => ({
        kind: "tcp",
        host: (bound as net.AddressInfo).address,
        port: (bound as net.AddressInfo).port,
      }),
      peerName: (socket) =>
        describeAddress({ kind: "tcp", host: socket.remoteAddress ?? "", port: socket.remotePort ?? 0 }),
    });
  },
};

function targetOf(rest: string): SocketTarget {
  const address = parseTcpAddress(rest);
  const target = {
    ...withoutEmptyHost(address),
    ...SOCKET_OPTIONS,
    autoSelectFamilyAttemptTimeout: ATTEMPT_TIMEOUT_MS,
  };
  return { target, peer: describeAddress(address) };
}

function withoutEmptyHost({ host, port }: TcpAddress): { host?: string; port: number } {
  return host === "" ? { port } : { host, port };
}
