import { MigrationError } from "@peregrine/protocol";
import net from "node:net";
import type { Address } from "./address.ts";
import type { Channel, ChannelOptions, Listener } from "./channel.ts";
import { systemError } from "./errno.ts";
import { SocketChannel } from "./socket-channel.ts";

/** Connections that may wait for `accept`; more are dropped. */
const MAX_WAITING = 16;

export interface SocketListenerOptions {
  /** The address as error texts name it. */
  readonly name: string;
  readonly socketOptions: net.ServerOpts;
  readonly channelOptions: ChannelOptions;
  boundAddress(bound: net.AddressInfo | string | null): Address;
  peerName(socket: net.Socket): string;
}

/** Binds and listens. Errors: LISTEN_FAILED. */
export function listenOnSocket(target: net.ListenOptions, options: SocketListenerOptions): Promise<Listener> {
  return new Promise((resolve, reject) => {
    const server = net.createServer({ ...options.socketOptions, allowHalfOpen: true, pauseOnConnect: true });
    const onError = (error: Error): void => {
      reject(systemError("LISTEN_FAILED", `Failed to listen on '${options.name}'`, error));
    };
    server.once("error", onError);
    server.listen(target, () => {
      server.off("error", onError);
      resolve(new SocketListener(server, options));
    });
  });
}

interface Waiter {
  readonly resolve: (channel: Channel) => void;
  readonly reject: (error: MigrationError) => void;
}

class SocketListener implements Listener {
  readonly address: Address;
  readonly #server: net.Server;
  readonly #options: SocketListenerOptions;
  readonly #connections: net.Socket[] = [];
  readonly #waiters: Waiter[] = [];
  #closed = false;

  constructor(server: net.Server, options: SocketListenerOptions) {
    this.#server = server;
    this.#options = options;
    this.address = options.boundAddress(server.address());
    server.on("connection", (socket) => this.#connected(socket));
    // A connection could not be accepted, for example for want of descriptors. The listener itself is sound.
    server.on("error", (error) => {
      this.#waiters
        .shift()
        ?.reject(systemError("LISTEN_FAILED", `Failed to accept on '${options.name}'`, error));
    });
  }

  accept(): Promise<Channel> {
    if (this.#closed) return Promise.reject(this.#closedError());
    const socket = this.#connections.shift();
    if (socket !== undefined) {
      socket.off("error", ignore);
      return Promise.resolve(this.#channel(socket));
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    // The address is free at once; Node's own callback would wait for every accepted connection.
    this.#server.close();
    for (const socket of this.#connections.splice(0)) socket.destroy();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#closedError());
    return Promise.resolve();
  }

  #connected(socket: net.Socket): void {
    if (this.#closed || (this.#waiters.length === 0 && this.#connections.length >= MAX_WAITING)) {
      socket.destroy();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve(this.#channel(socket));
      return;
    }
    socket.on("error", ignore);
    this.#connections.push(socket);
  }

  #channel(socket: net.Socket): Channel {
    return new SocketChannel(socket, this.#options.peerName(socket), this.#options.channelOptions);
  }

  #closedError(): MigrationError {
    return new MigrationError("LISTEN_FAILED", `No longer listening on '${this.#options.name}'`);
  }
}

/** A waiting connection that breaks is found broken by whoever accepts it. */
function ignore(): void {}
