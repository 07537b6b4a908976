import { encodeSelfAnnounce, MigrationError, parseMac } from "@peregrine/protocol";
import { openNetdev, parseNetdev } from "@peregrine/transport";
import type { Netdev } from "@peregrine/transport";
import type { Announceable } from "./announcer.ts";

export interface NetworkInterfaceOptions {
  readonly id: string;
  /** `52:54:00:12:34:56` */
  readonly mac: string;
  /** `stream:tcp:HOST:PORT`, `stream:unix:PATH` or `dgram:HOST:PORT`. */
  readonly netdev: string;
}

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
    // A frame that still waits for its connection says the same.
    if (this.#isSending) this.#lost++;
    else void this.#send(this.#frame);
  }

  /** Gives the connection up; the next announcement makes another one. */
  close(): void {
    this.#netdev.close();
  }

  async #send(frame: Uint8Array): Promise<void> {
    this.#isSending = true;
    try {
      await this.#netdev.send(frame);
      this.#sent++;
      this.#wasReached = true;
    } catch (error) {
      this.#lost++;
      const known = MigrationError.from(error);
      if (this.#wasReached && known.code !== "CANCELLED") this.#warn(known);
      this.#wasReached = false;
    }
    this.#isSending = false;
  }
}
