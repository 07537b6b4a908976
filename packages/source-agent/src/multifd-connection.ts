import { MigrationError } from "@peregrine/protocol";
import type { MultifdChannelEncoder, MultifdInit, MultifdPacket } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";
import { PageBatch } from "./page-batch.ts";

const NO_PAGES = { block: "", offsets: [], zeroOffsets: [] } as const;
const NOTHING = new Uint8Array(0);

export interface MultifdConnectionOptions {
  readonly channel: Channel;
  /** Which of the connections this is, for error texts. */
  readonly which: string;
  readonly encoder: MultifdChannelEncoder;
  /** Told of the bytes that go out, packet by packet. */
  readonly count: (bytes: number) => void;
}

/** One of the connections of multifd. It has one packet under way at a time, and the memory for it. */
export class MultifdConnection {
  readonly #channel: Channel;
  readonly #which: string;
  readonly #encoder: MultifdChannelEncoder;
  readonly #count: (bytes: number) => void;
  #spare = new PageBatch();
  #free = true;
  #sent: Promise<void> = Promise.resolve();

  constructor({ channel, which, encoder, count }: MultifdConnectionOptions) {
    this.#channel = channel;
    this.#which = which;
    this.#encoder = encoder;
    this.#count = count;
  }

  /** Whether nothing is under way. */
  get free(): boolean {
    return this.#free;
  }

  /** Resolves when the kernel has what is under way. Errors: CHANNEL_FAILED. */
  get sent(): Promise<void> {
    return this.#sent;
  }

  /** Errors: CHANNEL_FAILED when the connection is of no use any more. */
  check(): void {
    const { error } = this.#channel;
    if (error !== undefined) throw explain(error, this.#which);
  }

  /** Sends the first message. */
  async open(init: MultifdInit): Promise<void> {
    const bytes = this.#encoder.init(init);
    this.#count(bytes.length);
    await this.#write(bytes);
  }

  /**
   * Begins to send a packet of pages; nothing may be under way.
   * @param block the name of the batch's block.
   * @returns an empty batch: the one given is taken.
   */
  send(packetNumber: number, block: string, batch: PageBatch): PageBatch {
    const empty = this.#spare;
    empty.clear();
    this.#spare = batch;
    const { offsets, bytes, length } = batch;
    const packet = { sync: false, packetNumber, block, offsets, zeroOffsets: [] };
    this.#begin(packet, bytes.subarray(0, length));
    return empty;
  }

  /** Begins to send a packet behind which the destination waits for the others; nothing may be under way. */
  sync(packetNumber: number): void {
    this.#begin({ ...NO_PAGES, sync: true, packetNumber }, NOTHING);
  }

  destroy(error?: MigrationError): void {
    this.#channel.destroy(error);
  }

  #begin(packet: MultifdPacket, pages: Uint8Array): void {
    this.#free = false;
    this.#sent = this.#send(packet, pages);
    // Whoever uses the connection next is told.
    this.#sent.catch(() => {});
  }

  async #send(packet: MultifdPacket, pages: Uint8Array): Promise<void> {
    const [header, payload] = await this.#encoder.packet(packet, pages);
    this.#count(header.length + payload.length);
    await Promise.all([this.#write(header), this.#write(payload)]);
    this.#free = true;
  }

  async #write(bytes: Uint8Array): Promise<void> {
    try {
      await this.#channel.write(bytes);
    } catch (error) {
      throw explain(MigrationError.from(error), this.#which);
    }
  }
}

/** A destination that expects no connections but the main one closes the others. Other errors stay as they are. */
export function explain(error: MigrationError, which: string): MigrationError {
  if (error.code !== "CONNECT_FAILED" && error.code !== "CHANNEL_FAILED") return error;
  const text = `${error.message} (${which}: the destination has to have multifd switched on, with as many channels)`;
  return new MigrationError(error.code, text, { cause: error });
}
