import { MigrationError } from "@peregrine/protocol";
import net from "node:net";
import type { Address } from "./address.ts";
import type { Channel, ChannelOptions, Listener } from "./channel.ts";
import { systemError } from "./errno.ts";
import { ReadBuffer, withReadBuffer } from "./read-buffer.ts";
import { SocketChannel } from "./socket-channel.ts";
import type { ByteSocket } from "./socket-channel.ts";

/** Connections that may wait for `accept`; more are dropped. */
const MAX_WAITING = 16;

export interface AcceptQueueOptions {
  /** The address as error texts name it. */
  readonly name: string;
  readonly address: Address;
  readonly channelOptions: ChannelOptions;
  /** Has the address free at once, and lets the accepted connections live on. */
  stop(): void;
}

interface Waiter {
  readonly resolve: (channel: Channel) => void;
  readonly reject: (error: MigrationError) => void;
}

interface Connection {
  readonly socket: ByteSocket;
  readonly peer: string;
}

/** What a server has of connections, and who waits for them: the listener of every kind of server. */
export class AcceptQueue implements Listener {
  readonly address: Address;
  readonly #options: AcceptQueueOptions;
  readonly #connections: Connection[] = [];
  readonly #waiters: Waiter[] = [];
  #closed = false;

  constructor(options: AcceptQueueOptions) {
    this.#options = options;
    this.address = options.address;
  }

  /** Takes a connection in that the server has made. */
  add(socket: ByteSocket, peer: string): void {
    if (this.#closed || (this.#waiters.length === 0 && this.#connections.length >= MAX_WAITING)) {
      socket.on("error", ignore);
      socket.destroy();
      return;
    }
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve(this.#channel({ socket, peer }));
      return;
    }
    socket.on("error", ignore);
    this.#connections.push({ socket, peer });
  }

  /** A connection could not be accepted, for example for want of descriptors. The listener itself is sound. */
  missed(error: Error): void {
    this.#waiters
      .shift()
      ?.reject(systemError("LISTEN_FAILED", `Failed to accept on '${this.#options.name}'`, error));
  }

  accept(): Promise<Channel> {
    if (this.#closed) return Promise.reject(this.#closedError());
    const connection = this.#connections.shift();
    if (connection !== undefined) {
      connection.socket.off("error", ignore);
      return Promise.resolve(this.#channel(connection));
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
    });
  }

  close(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    this.#closed = true;
    this.#options.stop();
    for (const { socket } of this.#connections.splice(0)) socket.destroy();
    for (const waiter of this.#waiters.splice(0)) waiter.reject(this.#closedError());
    return Promise.resolve();
  }

  #channel({ socket, peer }: Connection): Channel {
    const { channelOptions } = this.#options;
    if (channelOptions.readBuffer !== undefined && socket instanceof net.Socket) {
      const reads = new ReadBuffer(channelOptions.readBuffer);
      const taken = withReadBuffer(socket, reads);
      if (taken !== undefined) return new SocketChannel(taken, peer, channelOptions, "both", reads);
    }
    return new SocketChannel(socket, peer, channelOptions);
  }

  #closedError(): MigrationError {
    return new MigrationError("LISTEN_FAILED", `No longer listening on '${this.#options.name}'`);
  }
}

/** A waiting connection that breaks is found broken by whoever accepts it. */
function ignore(): void {}
