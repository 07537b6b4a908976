import dgram from "node:dgram";
import { isIPv6 } from "node:net";
import { describeAddress } from "../address.ts";
import type { TcpAddress } from "../address.ts";
import { systemError } from "../errno.ts";
import type { Netdev } from "./netdev.ts";

/**
 * As QEMU's `-netdev dgram` with addresses of type `inet`: each frame is a datagram. What is sent to its own port is
 * read and dropped, since the guest takes no frames.
 */
export class DatagramNetdev implements Netdev {
  readonly #address: TcpAddress;
  #socket: dgram.Socket | undefined;

  constructor(address: TcpAddress) {
    this.#address = address;
  }

  send(frame: Uint8Array): Promise<void> {
    const { host, port } = this.#address;
    const socket = (this.#socket ??= this.#open());
    return new Promise((resolve, reject) => {
      socket.send(frame, port, host === "" ? undefined : host, (error) => {
        if (error === null) resolve();
        else
          reject(
            systemError("CHANNEL_FAILED", `Sending to '${describeAddress(this.#address)}' failed`, error),
          );
      });
    });
  }

  close(): void {
    this.#socket?.close();
    this.#socket = undefined;
  }

  #open(): dgram.Socket {
    const socket = dgram.createSocket(isIPv6(this.#address.host) ? "udp6" : "udp4");
    // Whoever sends is told what went wrong.
    socket.on("error", () => undefined);
    return socket;
  }
}
