import { ByteWriter } from "./byte-writer.ts";
import { MigrationError } from "./errors.ts";
import { encodeMultifdInit, encodeMultifdPages } from "./multifd-packet.ts";
import type { MultifdCompression, MultifdInit, MultifdLayout, MultifdPages } from "./multifd-packet.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/** Compresses one channel, which is one stream from its first packet to its last. */
export interface StreamCompressor {
  readonly compression: Exclude<MultifdCompression, "none">;
  /**
   * @param data the next bytes of the stream; not used after the promise's end.
   * @returns what they become, flushed at the end, so that all of them can be had from it. Valid until the next call.
   */
  compress(data: Uint8Array): Promise<Uint8Array>;
}

/** How the packets of one channel are made. */
export interface MultifdChannelEncoderOptions {
  readonly layout: MultifdLayout;
  /** Undefined: the pages go as they are. */
  readonly compressor?: StreamCompressor | undefined;
}

/** A packet before its pages are compressed. */
export type MultifdPacket = Pick<MultifdPages, "sync" | "packetNumber" | "block" | "offsets" | "zeroOffsets">;

/**
 * Makes the bytes of one multifd channel, piece by piece. What a method returns is valid until the next call. After
 * an error nothing more can be made.
 */
export class MultifdChannelEncoder {
  readonly #layout: MultifdLayout;
  readonly #compressor: StreamCompressor | undefined;
  readonly #writer = new ByteWriter();

  constructor({ layout, compressor }: MultifdChannelEncoderOptions) {
    this.#layout = layout;
    this.#compressor = compressor;
  }

  /** What a channel begins with. */
  init(init: MultifdInit): Uint8Array {
    this.#writer.reset();
    encodeMultifdInit(this.#writer, init);
    return this.#writer.view();
  }

  /**
   * @param pages the bytes of the pages at `offsets`, in their order.
   * @returns the header, and what follows it: nothing when there are no such pages.
   */
  async packet(
    packet: MultifdPacket,
    pages: Uint8Array,
  ): Promise<readonly [header: Uint8Array, payload: Uint8Array]> {
    const { offsets, zeroOffsets } = packet;
    if (pages.length !== offsets.length * WIRE_PAGE_SIZE) {
      const text = `${pages.length} bytes are not the ${offsets.length} pages of a packet`;
      throw new MigrationError("INTERNAL", text);
    }
    const payload = await this.#payload(pages);
    const namesPages = offsets.length + zeroOffsets.length > 0;
    this.#writer.reset();
    encodeMultifdPages(this.#writer, this.#layout, {
      ...packet,
      kind: "pages",
      compression: namesPages ? (this.#compressor?.compression ?? "none") : "none",
      payloadBytes: payload.length,
    });
    return [this.#writer.view(), payload];
  }

  async #payload(pages: Uint8Array): Promise<Uint8Array> {
    if (this.#compressor === undefined || pages.length === 0) return pages;
    return this.#compressor.compress(pages);
  }
}
