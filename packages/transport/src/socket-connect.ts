import { MigrationError } from "@peregrine/protocol";
import net from "node:net";
import type { Channel, ConnectOptions } from "./channel.ts";
import { systemError } from "./errno.ts";
import { SocketChannel } from "./socket-channel.ts";

/** Opens a socket and makes a channel of it. Errors: CONNECT_FAILED; CANCELLED by the signal. */
export function connectSocket(
  target: net.NetConnectOpts,
  peer: string,
  { signal, ...options }: ConnectOptions,
): Promise<Channel> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortError(signal, peer));
      return;
    }
    const socket = net.connect({ ...target, allowHalfOpen: true });
    const settle = (): void => {
      socket.off("connect", onConnect);
      socket.off("error", onError);
      signal?.removeEventListener("abort", onAbort);
    };
    const onConnect = (): void => {
      settle();
      resolve(new SocketChannel(socket, peer, options));
    };
    const onError = (error: Error): void => {
      settle();
      reject(systemError("CONNECT_FAILED", `Failed to connect to '${peer}'`, error));
    };
    const onAbort = (): void => {
      settle();
      // The socket may still report an error on its way out; nobody waits for it any more.
      socket.on("error", () => {});
      socket.destroy();
      reject(abortError(signal, peer));
    };
    socket.on("connect", onConnect);
    socket.on("error", onError);
    signal?.addEventListener("abort", onAbort);
  });
}

/** Why connecting was given up: the signal's own MigrationError, CONNECT_FAILED after a timeout, or CANCELLED. */
export function abortError(signal: AbortSignal | undefined, peer: string): MigrationError {
  const reason: unknown = signal?.reason;
  if (MigrationError.is(reason)) return reason;
  if (reason instanceof DOMException && reason.name === "TimeoutError") {
    return new MigrationError("CONNECT_FAILED", `Failed to connect to '${peer}': Connection timed out`);
  }
  return new MigrationError("CANCELLED", `Connecting to '${peer}' was cancelled`, { cause: reason });
}
