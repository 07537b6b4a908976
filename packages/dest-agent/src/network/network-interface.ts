import { encodeSelfAnnounce, MigrationError, parseMac } from "@peregrine/protocol";
import { openNetdev, parseNetdev } from "@peregrine/transport";
import type { Netdev } from "@peregrine/transport";
import type { Announceable } from "./announcer.ts";

export interface NetworkInterfaceOptions {
  readonly id: string;
  /** `52:54:00:12:34:56` */
  readonly mac: string;
  /** `stream:tcp:HOST:PORT`, `stream:unix:PATH`, `dgram:HOST:PORT` or `dgram:unix:PATH`. */
  readonly netdev: string;
}

/** Frames that wait for a slow or lost connection; more are given up. */
const MOST_WAITING = 8;

/** What became of the frames of an interface. */
export interface FrameCounts {
  readonly sent: number;
  readonly lost: number;
}

/**
 * A network interface that the guest is known by. A WebAssembly program has no network device, so nothing but
 * announcements goes out of it, and what comes in is dropped. A network that cannot be reached costs frames and
 * nothing else.
 */
export class NetworkInterface implements Announceable {
  readonly id: string;
  readonly mac: string;
  /** As it was given. */
  readonly netdev: string;
  readonly #frame: Uint8Array;
  readonly #netdev: Netdev;
  readonly #warn: (error: MigrationError) => void;
  #sent = 0;
  #lost = 0;
  /** Frames; they are all the same. */
  #waiting = 0;
  #isSending = false;
  #wasReached = true;

  /**
   * @param warn is told once why the network cannot be reached, and again when it could be meanwhile.
   * Errors: BAD_ADDRESS.
   */
  constructor({ id, mac, netdev }: NetworkInterfaceOptions, warn: (error: MigrationError) => void) {
    this.id = id;
    this.mac = mac;
    this.netdev = netdev;
    this.#frame = encodeSelfAnnounce(parseMac(mac));
    this.#netdev = openNetdev(parseNetdev(netdev));
    this.#warn = warn;
  }

  get counts(): FrameCounts {
    return { sent: this.#sent, lost: this.#lost };
  }

  announce(): void {
    if (this.#waiting === MOST_WAITING) {
      this.#lost++;
      return;
    }
    this.#waiting++;
    if (!this.#isSending) void this.#sendWaiting();
  }

  /** Gives up the connection, and what waits for it; the next announcement makes another one. */
  close(): void {
    this.#lost += this.#waiting;
    this.#waiting = 0;
    this.#netdev.close();
  }

  async #sendWaiting(): Promise<void> {
    this.#isSending = true;
    while (this.#waiting > 0) {
      this.#waiting--;
      await this.#send();
    }
    this.#isSending = false;
  }

  async #send(): Promise<void> {
    try {
      await this.#netdev.send(this.#frame);
      this.#sent++;
      this.#wasReached = true;
    } catch (error) {
      this.#lost++;
      const known = MigrationError.from(error);
      if (this.#wasReached && known.code !== "CANCELLED") this.#warn(known);
      this.#wasReached = false;
    }
  }
}
