import type { Server } from "node:net";
import { MigrationError } from "@peregrine/protocol";
import { lstat, unlink } from "node:fs/promises";
import net from "node:net";
import { parseUnixAddress } from "./address.ts";
import type { ListenOptions, Listener, SocketTarget, Transport } from "./channel.ts";
import { descriptorSockets } from "./descriptors/descriptor-socket.ts";
import { bindPrivately } from "./private-socket.ts";
import { connectSocket } from "./socket-connect.ts";
import { listenOnSocket } from "./socket-listener.ts";

/** `unix:PATH`. Only the user that listens can connect. */
export const unix: Transport = {
  parse: parseUnixAddress,

  target: targetOf,

  async connect(rest, options) {
    const { target, peer } = targetOf(rest);
    return connectSocket(target, peer, options);
  },

  async listen(rest, options) {
    const { path } = parseUnixAddress(rest);
    try {
      return await listenOnPath(path, options);
    } catch (error) {
      if (!isAddressInUse(error) || !(await removeStaleSocket(path))) throw error;
      return listenOnPath(path, options);
    }
  },
};

/**
 * Has a server that speaks something else listen at `path`, where only this user can connect. A socket that nobody
 * listens on is replaced. Errors: LISTEN_FAILED.
 * @returns what is to be done once the server is closed.
 */
export async function bindToPath(server: Server, path: string): Promise<() => void> {
  try {
    return await bindPrivately(server, path);
  } catch (error) {
    if (!isAddressInUse(error) || !(await removeStaleSocket(path))) throw error;
    return bindPrivately(server, path);
  }
}

function targetOf(rest: string): SocketTarget {
  const { path } = parseUnixAddress(rest);
  return { target: { path }, peer: path };
}

async function listenOnPath(path: string, channelOptions: ListenOptions): Promise<Listener> {
  const wrap = channelOptions.descriptors === true ? await descriptorSockets() : undefined;
  return listenOnSocket(
    { path },
    {
      name: path,
      socketOptions: {},
      bind: (server) => bindPrivately(server, path),
      channelOptions,
      boundAddress: () => ({ kind: "unix", path }),
      peerName: () => path,
      wrap,
    },
  );
}

function isAddressInUse(error: unknown): boolean {
  return (
    MigrationError.is(error) && (error.cause as NodeJS.ErrnoException | undefined)?.code === "EADDRINUSE"
  );
}

/**
 * Removes a socket file that a dead process left behind. Never a live socket, nor any other kind of file.
 * @returns whether the path is free now.
 */
async function removeStaleSocket(path: string): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  if (found === undefined) return true;
  if (!found.isSocket() || !(await refusesConnections(path))) return false;
  // Another process may have put its own socket here while this one was being probed.
  const now = await lstat(path).catch(() => undefined);
  if (now === undefined) return true;
  if (now.ino !== found.ino || now.ctimeMs !== found.ctimeMs) return false;
  await unlink(path);
  return true;
}

function refusesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = net.connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(false);
    });
    probe.once("error", (error: NodeJS.ErrnoException) => {
      resolve(error.code === "ECONNREFUSED");
    });
  });
}
