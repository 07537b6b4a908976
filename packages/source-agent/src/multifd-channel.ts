import { MigrationError, MULTIFD_HEADER_BYTES } from "@peregrine/protocol";
import type { MultifdChannelEncoder, MultifdInit, MultifdPacket, PageKernel } from "@peregrine/protocol";
import type { GuestRam } from "@peregrine/shared-state";
import type { Channel, Gathering } from "@peregrine/transport";
import { BATCHES_IN_FLIGHT, packetsPerBatch } from "./multifd-messages.ts";
import type { MessageFromMultifd, MessageToMultifd } from "./multifd-messages.ts";
import { openPackets } from "./multifd-packets.ts";
import type { Packets } from "./multifd-packets.ts";

/** How long the end of a connection may take, milliseconds. */
const END_MS = 1000;

interface Sent {
  readonly bytes: number;
  readonly pages: number;
}

export interface MultifdChannelOptions {
  readonly channel: Channel;
  /** Of the channel, if it has that. */
  readonly gathering: Gathering | undefined;
  readonly ram: GuestRam;
  readonly encoder: MultifdChannelEncoder;
  readonly isCompressed: boolean;
  /** One Int32: the number of the next packet, over all connections. */
  readonly packetNumbers: SharedArrayBuffer;
  readonly tell: (message: MessageFromMultifd) => void;
}

/**
 * One connection of multifd, in its own thread. Pages are looked at as soon as they are named, and sent
 * one packet after the other.
 */
export class MultifdChannel {
  readonly #channel: Channel;
  readonly #ram: GuestRam;
  readonly #encoder: MultifdChannelEncoder;
  readonly #packetNumbers: Int32Array;
  readonly #tell: (message: MessageFromMultifd) => void;
  readonly #kernel: PageKernel;
  readonly #spare: Packets[];
  readonly #syncHeader = Buffer.alloc(MULTIFD_HEADER_BYTES);
  /** Ends with the last packet so far. Never rejects. */
  #sending: Promise<void> = Promise.resolve();
  #over = false;

  constructor(options: MultifdChannelOptions) {
    const { channel, gathering, ram, encoder, isCompressed, packetNumbers, tell } = options;
    const opened = openPackets(
      { channel, ram, encoder },
      { count: BATCHES_IN_FLIGHT, most: packetsPerBatch(isCompressed), isCompressed, gathering },
    );
    this.#kernel = opened.kernel;
    this.#spare = opened.packets;
    this.#channel = channel;
    this.#ram = ram;
    this.#encoder = encoder;
    this.#packetNumbers = new Int32Array(packetNumbers);
    this.#tell = tell;
    void this.#watch();
  }

  /** Sends the first message. Errors: CHANNEL_FAILED. */
  async open(init: MultifdInit): Promise<void> {
    const bytes = this.#encoder.init(init);
    await this.#channel.write(bytes);
    this.#tell({ kind: "open", bytes: bytes.length });
  }

  /** Begins to do what the migration thread wants. Never throws: a failure is told. */
  take(message: Extract<MessageToMultifd, { readonly kind: "pages" | "sync" }>): void {
    if (this.#over) return;
    try {
      if (message.kind === "sync") {
        this.#next(() => this.#sendSync());
        return;
      }
      const packets = this.#read(message.block, message.runs);
      this.#next(() => this.#sendPages(packets));
    } catch (error) {
      this.#fail(error);
    }
  }

  destroy(): void {
    this.#over = true;
    this.#channel.destroy();
  }

  /**
   * Drops the connection; where nothing is under way, with the end that its transport has. A destination takes any other
   * one over TLS for a connection that was cut.
   */
  close(): void {
    if (this.#over || this.#spare.length < BATCHES_IN_FLIGHT) {
      this.destroy();
      return;
    }
    this.#over = true;
    const timer = setTimeout(() => this.#channel.destroy(), END_MS);
    void this.#channel
      .end()
      .catch(() => undefined)
      .finally(() => {
        clearTimeout(timer);
        this.#channel.destroy();
      });
  }

  /** The connection may break while nothing is under way. */
  async #watch(): Promise<void> {
    await this.#channel.closed;
    if (this.#channel.error !== undefined) this.#fail(this.#channel.error);
  }

  #next(send: () => Promise<Sent>): void {
    this.#sending = this.#after(this.#sending, send);
  }

  /** Never rejects. */
  async #after(before: Promise<void>, send: () => Promise<Sent>): Promise<void> {
    await before;
    if (this.#over) return;
    try {
      this.#tell({ kind: "sent", ...(await send()) });
    } catch (error) {
      this.#fail(error);
    }
  }

  /** The first failure counts; what follow are its consequences. */
  #fail(error: unknown): void {
    if (this.#over) return;
    this.#over = true;
    this.#tell({ kind: "failed", error: MigrationError.from(error).serialize() });
  }

  #read(block: number, runs: Uint32Array): Packets {
    const packets = this.#spare.pop();
    const name = this.#ram.blocks[block]?.name;
    if (packets === undefined || name === undefined) {
      throw new MigrationError("INTERNAL", "a multifd connection cannot take the pages that it was given");
    }
    packets.clear();
    packets.block = name;
    const zeroPages: number[] = [];
    for (let run = 0; run < runs.length; run += 2) {
      let [page, left] = [runs[run]!, runs[run + 1]!];
      while (left > 0) {
        const count = Math.min(left, packets.room);
        if (packets.add(block, page, count) > 0) this.#noteZeroPages(zeroPages, page, count);
        page += count;
        left -= count;
      }
    }
    this.#tell({ kind: "read", block, zeroPages: Uint32Array.from(zeroPages), normal: packets.pages });
    return packets;
  }

  #noteZeroPages(into: number[], page: number, count: number): void {
    for (let n = 0; n < count; n++) if (this.#kernel.isZero(n)) into.push(page + n);
  }

  async #sendPages(packets: Packets): Promise<Sent> {
    const { pages } = packets;
    const bytes = pages === 0 ? 0 : await packets.send(this.#nextNumber);
    this.#spare.push(packets);
    return { bytes, pages };
  }

  async #sendSync(): Promise<Sent> {
    const sync: MultifdPacket = {
      sync: true,
      packetNumber: this.#nextNumber(),
      block: "",
      pages: 0,
      zeroPages: 0,
    };
    this.#encoder.header(this.#syncHeader, sync, 0);
    await this.#channel.write(this.#syncHeader);
    return { bytes: this.#syncHeader.length, pages: 0 };
  }

  readonly #nextNumber = (): number => Atomics.add(this.#packetNumbers, 0, 1);
}
