import { MigrationError, MULTIFD_HEADER_BYTES, MULTIFD_PACKET_PAGES } from "@peregrine/protocol";
import type { MultifdChannelEncoder, MultifdInit, MultifdPacket } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam } from "@peregrine/shared-state";
import type { Channel } from "@peregrine/transport";
import { BATCHES_IN_FLIGHT } from "./multifd-messages.ts";
import type { MessageFromMultifd, MessageToMultifd } from "./multifd-messages.ts";

/** How long the end of a connection may take, milliseconds. */
const END_MS = 1000;

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);
const NOTHING = new Uint8Array(0);
const NO_PAGES = { block: "", offsets: [], zeroOffsets: [] } as const;

/** The memory of one packet that is under way: room for the header in front of the pages, so that both are one write. */
class Packet {
  readonly bytes = Buffer.allocUnsafeSlow(MULTIFD_HEADER_BYTES + MULTIFD_PACKET_PAGES * PAGE_SIZE);
  /** Where in the block each page is. */
  readonly offsets: number[] = [];
  block = "";

  get pages(): Buffer {
    return this.bytes.subarray(MULTIFD_HEADER_BYTES, MULTIFD_HEADER_BYTES + this.offsets.length * PAGE_SIZE);
  }

  /** The header, with the pages behind it. */
  withHeader(header: Uint8Array): Buffer {
    const start = MULTIFD_HEADER_BYTES - header.length;
    this.bytes.set(header, start);
    return this.bytes.subarray(start, MULTIFD_HEADER_BYTES + this.offsets.length * PAGE_SIZE);
  }
}

interface Sent {
  readonly bytes: number;
  readonly pages: number;
}

export interface MultifdChannelOptions {
  readonly channel: Channel;
  readonly ram: GuestRam;
  readonly encoder: MultifdChannelEncoder;
  /** One Int32: the number of the next packet, over all connections. */
  readonly packetNumbers: SharedArrayBuffer;
  readonly tell: (message: MessageFromMultifd) => void;
}

/**
 * One connection of multifd, in its own thread. Pages are copied out of the guest as soon as they are named, and sent
 * one packet after the other.
 */
export class MultifdChannel {
  readonly #channel: Channel;
  readonly #ram: GuestRam;
  readonly #encoder: MultifdChannelEncoder;
  readonly #packetNumbers: Int32Array;
  readonly #tell: (message: MessageFromMultifd) => void;
  readonly #spare = Array.from({ length: BATCHES_IN_FLIGHT }, () => new Packet());
  readonly #zeroPages = new Uint32Array(MULTIFD_PACKET_PAGES);
  /** Ends with the last packet so far. Never rejects. */
  #sending: Promise<void> = Promise.resolve();
  #over = false;

  constructor({ channel, ram, encoder, packetNumbers, tell }: MultifdChannelOptions) {
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
      const packet = this.#read(message.block, message.runs);
      this.#next(() => this.#sendPages(packet));
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

  #read(block: number, runs: Uint32Array): Packet {
    const packet = this.#spare.pop();
    const ram = this.#ram;
    const name = ram.blocks[block]?.name;
    if (packet === undefined || name === undefined) {
      throw new MigrationError("INTERNAL", "a multifd connection cannot take the pages that it was given");
    }
    packet.block = name;
    packet.offsets.length = 0;
    let zeroPages = 0;
    for (let run = 0; run < runs.length; run += 2) {
      zeroPages = this.#readRun(packet, block, runs[run]!, runs[run + 1]!, zeroPages);
    }
    const normal = packet.offsets.length;
    this.#tell({ kind: "read", block, zeroPages: this.#zeroPages.slice(0, zeroPages), normal });
    return packet;
  }

  /** Adds the pages of a run that are not zero. @returns how many are zero, with those before. */
  #readRun(packet: Packet, block: number, page: number, count: number, zeroPagesBefore: number): number {
    const { bytes, offsets } = packet;
    const start = MULTIFD_HEADER_BYTES + offsets.length * PAGE_SIZE;
    let zeroPages = zeroPagesBefore;
    let end = start;
    this.#ram.readPages(block, page, count, bytes, start);
    for (let n = 0; n < count; n++) {
      const from = start + n * PAGE_SIZE;
      if (bytes.compare(ZERO_PAGE, 0, PAGE_SIZE, from, from + PAGE_SIZE) === 0) {
        this.#zeroPages[zeroPages++] = page + n;
        continue;
      }
      if (end < from) bytes.copyWithin(end, from, from + PAGE_SIZE);
      offsets.push((page + n) * PAGE_SIZE);
      end += PAGE_SIZE;
    }
    return zeroPages;
  }

  async #sendPages(packet: Packet): Promise<Sent> {
    const pages = packet.offsets.length;
    const bytes = pages === 0 ? 0 : await this.#writePages(packet);
    this.#spare.push(packet);
    return { bytes, pages };
  }

  async #writePages(packet: Packet): Promise<number> {
    const { block, offsets, pages } = packet;
    const [header, payload] = await this.#encoder.packet({ ...this.#head(block), offsets }, pages);
    if (payload === pages) {
      await this.#channel.write(packet.withHeader(header));
    } else {
      await Promise.all([this.#channel.write(header), this.#channel.write(payload)]);
    }
    return header.length + payload.length;
  }

  async #sendSync(): Promise<Sent> {
    const [header] = await this.#encoder.packet({ ...this.#head(""), sync: true }, NOTHING);
    await this.#channel.write(header);
    return { bytes: header.length, pages: 0 };
  }

  #head(block: string): MultifdPacket {
    return { ...NO_PAGES, sync: false, packetNumber: Atomics.add(this.#packetNumbers, 0, 1), block };
  }
}
