import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { wallClock } from "../cpu-wait.ts";
import type { SeenFrame } from "./lan.ts";

const LENGTH_BYTES = 4;

/** Takes one connection, with a length in front of each frame. */
export class StreamReceiver {
  readonly seen: SeenFrame[] = [];
  readonly #server = net.createServer((socket) => this.#receive(socket));

  async listen(): Promise<this> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return this;
  }

  get netdev(): string {
    return `stream:tcp:127.0.0.1:${(this.#server.address() as net.AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
  }

  #receive(socket: net.Socket): void {
    let waiting = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (chunk) => {
      const at = wallClock();
      waiting = Buffer.concat([waiting, chunk]);
      while (waiting.length >= LENGTH_BYTES) {
        const end = LENGTH_BYTES + waiting.readUInt32BE(0);
        if (waiting.length < end) return;
        this.seen.push({ at, frame: new Uint8Array(waiting.subarray(LENGTH_BYTES, end)) });
        waiting = waiting.subarray(end);
      }
    });
  }
}

/** Takes a frame with each datagram. */
export class DatagramReceiver {
  readonly seen: SeenFrame[] = [];
  readonly #socket = dgram.createSocket("udp4", (frame) => {
    this.seen.push({ at: wallClock(), frame: new Uint8Array(frame) });
  });

  async listen(): Promise<this> {
    await once(this.#socket.bind(0, "127.0.0.1"), "listening");
    return this;
  }

  get port(): number {
    return this.#socket.address().port;
  }

  get netdev(): string {
    return `dgram:127.0.0.1:${this.port}`;
  }

  close(): void {
    this.#socket.close();
  }
}
