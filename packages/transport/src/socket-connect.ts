import { MigrationError } from "@peregrine/protocol";
import type { EventEmitter } from "node:events";
import net from "node:net";
import type { Channel, ConnectOptions } from "./channel.ts";
import { systemError } from "./errno.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { widenSendBuffer } from "./send-buffer.ts";
import { SocketChannel } from "./socket-channel.ts";

/** Opens a socket and makes a channel of it. Errors: CONNECT_FAILED, TLS_FAILED; CANCELLED by the signal. */
export async function connectSocket(
  target: net.NetConnectOpts,
  peer: string,
  { signal, tls, ...options }: ConnectOptions,
): Promise<Channel> {
  requireWanted(signal, peer);
  if (tls !== undefined) {
    const { secureClient } = await import("./tls/secure-client.ts");
    const socket = await openSocket(target, peer, signal);
    const stream = await secureClient(socket, { tls, peer, host: hostOf(target), signal });
    return new SocketChannel(stream, peer, options);
  }
  const reads = options.readBuffer === undefined ? undefined : new ReadBuffer(options.readBuffer);
  const socket = net.connect({
    ...target,
    allowHalfOpen: true,
    ...(reads === undefined ? {} : { onread: reads.onread }),
  });
  const channel = await connected(socket, {
    event: "connect",
    peer,
    signal,
    drop: () => socket.destroy(),
    made: () => new SocketChannel(socket, peer, options, "both", reads),
  });
  if ("path" in target) await widenSendBuffer(socket);
  if (signal?.aborted === true) channel.destroy();
  requireWanted(signal, peer);
  return channel;
}

/** A connected socket that nothing was read from. Errors: CONNECT_FAILED; CANCELLED by the signal. */
export function openSocket(
  target: net.NetConnectOpts,
  peer: string,
  signal: AbortSignal | undefined,
): Promise<net.Socket> {
  requireWanted(signal, peer);
  const socket = net.connect({ ...target, allowHalfOpen: true });
  return connected(socket, {
    event: "connect",
    peer,
    signal,
    drop: () => socket.destroy(),
    // Until somebody uses it. Whoever does finds it destroyed, if it has broken.
    made: () => socket.on("error", () => undefined),
  });
}

/** Undefined for the socket of a path. */
export function hostOf(target: net.NetConnectOpts): string | undefined {
  return "path" in target ? undefined : (target.host ?? "localhost");
}

export interface ConnectingOptions<T> {
  /** What is emitted when the connection is there. */
  readonly event: string;
  readonly peer: string;
  readonly signal: AbortSignal | undefined;
  /** Gives up connecting. */
  readonly drop: () => void;
  /** Called within the event, so that nothing the peer sends at once is missed. */
  readonly made: () => T;
}

/** Waits for what is connecting. Errors: CONNECT_FAILED; CANCELLED by the signal. */
export function connected<T>(connecting: EventEmitter, options: ConnectingOptions<T>): Promise<T> {
  const { event, peer, signal, drop, made } = options;
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      connecting.off(event, onConnect);
      connecting.off("error", onError);
      signal?.removeEventListener("abort", onAbort);
    };
    const onConnect = (): void => {
      settle();
      resolve(made());
    };
    const onError = (error: Error): void => {
      settle();
      reject(systemError("CONNECT_FAILED", `Failed to connect to '${peer}'`, error));
    };
    const onAbort = (): void => {
      settle();
      // It may still report an error on its way out; nobody waits for it any more.
      connecting.on("error", () => {});
      drop();
      reject(abortError(signal, peer));
    };
    connecting.on(event, onConnect);
    connecting.on("error", onError);
    signal?.addEventListener("abort", onAbort);
  });
}

/** Errors: what {@link abortError} says, once the signal was given. */
export function requireWanted(signal: AbortSignal | undefined, peer: string): void {
  if (signal?.aborted === true) throw abortError(signal, peer);
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
