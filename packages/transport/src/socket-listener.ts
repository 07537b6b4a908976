import net from "node:net";
import { AcceptQueue } from "./accept-queue.ts";
import type { Address } from "./address.ts";
import type { ListenOptions, Listener } from "./channel.ts";
import { systemError } from "./errno.ts";
import type { ByteSocket } from "./socket-channel.ts";
import type { SecureServer } from "./tls/secure-server.ts";
import type { TlsStream } from "./tls/tls-stream.ts";

export interface SocketListenerOptions {
  /** The address as error texts name it. */
  readonly name: string;
  readonly socketOptions: net.ServerOpts;
  readonly channelOptions: ListenOptions;
  boundAddress(bound: net.AddressInfo | string | null): Address;
  peerName(socket: net.Socket): string;
  /** Binds in another way than to the target. Returns what is to be done when the server is closed. */
  readonly bind?: (server: net.Server) => Promise<() => void>;
  /** Puts something in front of an accepted socket, which nothing was read from. */
  readonly wrap?: ((socket: net.Socket) => ByteSocket) | undefined;
}

/** Binds and listens. Errors: LISTEN_FAILED. */
export async function listenOnSocket(
  target: net.ListenOptions,
  options: SocketListenerOptions,
): Promise<Listener> {
  const { name, channelOptions, wrap = (socket) => socket } = options;
  const server = net.createServer({ ...options.socketOptions, allowHalfOpen: true, pauseOnConnect: true });
  const secure = await secureServer(channelOptions, (stream) => queue.add(stream, stream.peer));
  const unbind = options.bind === undefined ? undefined : await options.bind(server);
  if (unbind === undefined) await bind(server, target, name);
  const queue = new AcceptQueue({
    name,
    address: options.boundAddress(server.address()),
    channelOptions,
    stop: () => {
      // Node's own callback would wait for every accepted connection.
      server.close();
      unbind?.();
      secure?.close();
    },
  });
  server.on("connection", (socket) => {
    const peer = options.peerName(socket);
    if (secure === undefined) queue.add(wrap(socket), peer);
    else secure.add(socket, peer);
  });
  server.on("error", (error) => queue.missed(error));
  return queue;
}

/** What makes TLS of connections, where they are to have it. Errors: BAD_CREDENTIALS. */
async function secureServer(
  { tls, refused = () => undefined }: ListenOptions,
  accept: (stream: TlsStream) => void,
): Promise<SecureServer | undefined> {
  if (tls === undefined) return undefined;
  const { SecureServer: Server } = await import("./tls/secure-server.ts");
  return new Server({ tls, accept, refused });
}

/** Resolves once the server listens. Errors: LISTEN_FAILED. @param name of the address in error texts. */
export function bind(server: net.Server, target: net.ListenOptions, name: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => {
      reject(systemError("LISTEN_FAILED", `Failed to listen on '${name}'`, error));
    };
    server.once("error", onError);
    server.listen(target, () => {
      server.off("error", onError);
      resolve();
    });
  });
}
