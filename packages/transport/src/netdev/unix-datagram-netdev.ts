import { MigrationError } from "@peregrine/protocol";
import { closeSync } from "node:fs";
import type { UnixAddress } from "../address.ts";
import { loadSystemCalls } from "../descriptors/system-calls.ts";
import type { SystemCalls } from "../descriptors/system-calls.ts";
import { systemError } from "../errno.ts";
import type { Netdev } from "./netdev.ts";

/**
 * As QEMU's `-netdev dgram` with addresses of type `unix`: each frame is a datagram. The socket has no name, so nothing
 * is sent to it.
 */
export class UnixDatagramNetdev implements Netdev {
  readonly #path: string;
  #calls: SystemCalls | undefined;
  #socket: number | undefined;

  constructor({ path }: UnixAddress) {
    this.#path = path;
  }

  async send(frame: Uint8Array): Promise<void> {
    this.#calls ??= await loadSystemCalls();
    if (this.#calls === undefined) {
      const message = `Datagrams to '${this.#path}' need Linux and the package koffi; use dgram:HOST:PORT or stream:unix:PATH`;
      throw new MigrationError("CONNECT_FAILED", message);
    }
    try {
      this.#socket ??= this.#calls.openDatagramSocket();
      this.#calls.sendDatagram(this.#socket, this.#path, frame);
    } catch (error) {
      throw systemError("CHANNEL_FAILED", `Sending to '${this.#path}' failed`, error);
    }
  }

  close(): void {
    if (this.#socket !== undefined) closeSync(this.#socket);
    this.#socket = undefined;
  }
}
