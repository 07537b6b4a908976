import net from "node:net";
import type { Channel, ChannelOptions, ReleasedConnection } from "./channel.ts";
import { ReadBuffer } from "./read-buffer.ts";
import { SocketChannel } from "./socket-channel.ts";

/**
 * Goes on with a connection that another thread has released. The bytes that were read there come first: they are the
 * caller's to use, and not read again. What was set for an idle link still holds.
 */
export function adopt({ descriptor, peer }: ReleasedConnection, options: ChannelOptions = {}): Channel {
  const reads = options.readBuffer === undefined ? undefined : new ReadBuffer(options.readBuffer);
  const socket = new net.Socket({
    fd: descriptor,
    readable: true,
    writable: true,
    allowHalfOpen: true,
    ...(reads === undefined ? {} : { onread: reads.onread }),
  });
  return new SocketChannel(socket, peer, { keepalive: 0, ...options }, "both", reads);
}
