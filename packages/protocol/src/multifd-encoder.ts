import { ByteWriter } from "./byte-writer.ts";
import { encodeMultifdInit, putMultifdHeader } from "./multifd-packet.ts";
import type { MultifdCompression, MultifdHeader, MultifdInit, MultifdLayout } from "./multifd-packet.ts";

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

/** What is said of a packet before its pages are compressed. */
export type MultifdPacket = Pick<MultifdHeader, "sync" | "packetNumber" | "block" | "pages" | "zeroPages">;

/** Makes the pieces of one multifd channel. After an error nothing more can be made. */
export class MultifdChannelEncoder {
  readonly #layout: MultifdLayout;
  readonly #compressor: StreamCompressor | undefined;

  constructor({ layout, compressor }: MultifdChannelEncoderOptions) {
    this.#layout = layout;
    this.#compressor = compressor;
  }

  /** What a channel begins with. */
  init(init: MultifdInit): Uint8Array {
    const writer = new ByteWriter();
    encodeMultifdInit(writer, init);
    return writer.view();
  }

  /**
   * @param pages the bytes of a packet's pages, in their order.
   * @returns what they become: themselves, at once, where nothing is compressed. Valid until the next call.
   */
  payload(pages: Uint8Array): Uint8Array | Promise<Uint8Array> {
    if (this.#compressor === undefined || pages.length === 0) return pages;
    return this.#compressor.compress(pages);
  }

  /**
   * Writes a packet's header around the offsets of its pages.
   * @param header MULTIFD_HEADER_BYTES, with the offsets from MULTIFD_OFFSETS_AT on, those of zero pages last.
   * @param payloadBytes that follow it.
   */
  header(header: Uint8Array, packet: MultifdPacket, payloadBytes: number): void {
    const named = packet.pages + packet.zeroPages;
    const compression = named === 0 ? "none" : (this.#compressor?.compression ?? "none");
    putMultifdHeader(header, this.#layout, { ...packet, compression, payloadBytes });
  }
}
