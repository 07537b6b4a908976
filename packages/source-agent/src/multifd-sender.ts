import {
  ByteWriter,
  encodeRamBlockList,
  MigrationError,
  MULTIFD_PACKET_PAGES,
  RamPageEncoder,
} from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, PageMap, ParameterValues } from "@peregrine/shared-state";
import { MultifdConnection } from "./multifd-connection.ts";
import { MultifdConnections } from "./multifd-connections.ts";
import { packetsPerBatch } from "./multifd-messages.ts";
import type { MultifdThreadData } from "./multifd-messages.ts";
import { multifdSyncMode } from "./multifd-sync-mode.ts";
import type { MultifdSyncMode } from "./multifd-sync-mode.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import { PageBatch } from "./page-batch.ts";
import { PageCost } from "./page-cost.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

const UUID_BYTES = 16;

/** Pages of a batch that are zero. */
interface ZeroPages {
  readonly block: number;
  readonly pages: Uint32Array;
}

/**
 * Sends pages on connections of their own, each with packets of up to 128 pages; zero pages and the sections' frames go
 * in the main stream. Each connection has a thread, which is given the numbers of the pages and takes them from the
 * guest itself. It holds two batches at most, of a few packets each.
 *
 * The order between connections is lost. What must not overtake anything is put behind a sync: the destination goes on
 * from there when the main stream and all connections have come to it. The zero pages of a section's batches are in
 * the main stream before the section ends, so they are between the same two syncs as the others.
 */
export class MultifdSender implements PageSender {
  readonly #ram: GuestRam;
  readonly #map: PageMap;
  readonly #stream: OutgoingStream;
  readonly #mode: MultifdSyncMode;
  readonly #signal: AbortSignal;
  readonly #connections = new MultifdConnections();
  readonly #encoder = new RamPageEncoder();
  readonly #cost: PageCost;
  readonly #mostPages: number;
  /** What is being filled. */
  readonly #batch: PageBatch;
  /** Those that are not in the main stream yet: of the batches in flight, at most. */
  #zeroPages: ZeroPages[] = [];

  private constructor({ ram, map, stream, opening, signal }: PageSenderOptions, isCompressed: boolean) {
    this.#mostPages = packetsPerBatch(isCompressed) * MULTIFD_PACKET_PAGES;
    this.#batch = new PageBatch(this.#mostPages);
    this.#ram = ram;
    this.#map = map;
    this.#stream = stream;
    this.#mode = multifdSyncMode(opening.configuration?.machineType);
    this.#cost = new PageCost(isCompressed);
    this.#signal = signal;
    signal.addEventListener("abort", this.#giveUp);
  }

  /** Opens the connections; each says which one it is. Errors: CONNECT_FAILED, CHANNEL_FAILED. */
  static async open(options: PageSenderOptions): Promise<MultifdSender> {
    // As they are now: a change takes effect with the next migration.
    const settings = options.parameters.values();
    const sender = new MultifdSender(options, settings["multifd-compression"] !== "none");
    try {
      // The main connection is the first, and says at once that it is the main one.
      await options.stream.flush();
      sender.#connect(options, settings);
      await sender.#connections.opened();
      return sender;
    } catch (error) {
      await sender.close();
      throw error;
    }
  }

  get runPages(): number {
    return Math.max(this.#batchPages - this.#batch.pages, 1);
  }

  async start(): Promise<void> {
    const writer = new ByteWriter();
    encodeRamBlockList(writer, this.#ram.blocks);
    await this.#stream.append(writer.view());
  }

  async beginSection(_kind: "part" | "end", resend: boolean): Promise<void> {
    this.#connections.check();
    if (this.#mode === "record" && resend) await this.#syncByRecord();
    // The destination's channels may be waiting for what is still in the main stream's buffer.
    await this.#stream.send();
  }

  run(block: number, page: number, count: number): Promise<void> | undefined {
    if (!this.#batch.isEmpty && this.#batch.block !== block) {
      return this.#sendBatch().then(() => this.#put(block, page, count));
    }
    return this.#put(block, page, count);
  }

  async endSection(kind: "start" | "part" | "end"): Promise<void> {
    await this.#sendBatch();
    await this.#connections.allRead();
    await this.#sendZeroPages();
    if (this.#mode === "section") await this.#connections.sync();
    else if (kind !== "part") await this.#syncByRecord();
    if (kind === "end") await this.#connections.flush();
  }

  check(): void {
    this.#connections.check();
  }

  get broken(): Promise<never> {
    return this.#connections.broken;
  }

  /** After the END section the kernel has everything, and ends the connections behind it. */
  async close(): Promise<void> {
    this.#signal.removeEventListener("abort", this.#giveUp);
    this.#connections.close();
    await this.#connections.gone();
  }

  readonly #giveUp = (): void => {
    this.#connections.close(MigrationError.from(this.#signal.reason));
  };

  #connect(
    { uri, tls, connectTimeout, keepalive, ramAccess, opening, stream, statistics }: PageSenderOptions,
    settings: ParameterValues,
  ): void {
    const compression = settings["multifd-compression"];
    const channels = settings["multifd-channels"];
    const shared: Omit<MultifdThreadData, "channel"> = {
      uri,
      tls,
      connectTimeout,
      keepalive,
      uuid: opening.uuid ?? new Uint8Array(UUID_BYTES),
      ram: ramAccess,
      compression,
      level: compression === "zlib" ? settings["multifd-zlib-level"] : settings["multifd-zstd-level"],
      packetNumbers: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
    };
    for (let channel = 0; channel < channels; channel++) {
      const connection = new MultifdConnection({
        data: { ...shared, channel },
        which: `connection ${channel + 1} of the ${channels} for multifd`,
        sent: (bytes, pages) => {
          stream.count(bytes);
          statistics.multifdBytes += bytes;
          this.#cost.sent(pages, bytes);
        },
        read: (block, pages, normal) => {
          statistics.normal += normal;
          statistics.duplicate += pages.length;
          if (pages.length === 0) return;
          this.#zeroPages.push({ block, pages });
          for (const page of pages) this.#map.markZero(block, page, 1);
        },
        changed: this.#connections.changed,
      });
      this.#connections.add(connection);
    }
  }

  /** Pages that a batch has under the present limit. */
  get #batchPages(): number {
    const pages = Math.floor(this.#stream.chunkBytes / this.#cost.bytesPerPage);
    return Math.min(Math.max(pages, 1), this.#mostPages);
  }

  #put(block: number, page: number, count: number): Promise<void> | undefined {
    this.#batch.block = block;
    this.#batch.add(page, count);
    return this.#batch.pages < this.#batchPages ? undefined : this.#sendBatch();
  }

  async #sendBatch(): Promise<void> {
    await this.#sendZeroPages();
    const batch = this.#batch;
    if (batch.isEmpty) return;
    const expected = batch.pages * this.#cost.bytesPerPage;
    const mostUncounted = this.#stream.isLimited ? this.#stream.chunkBytes : 0;
    await this.#connections.send(batch.block, batch.runs, expected, mostUncounted);
    batch.clear();
  }

  async #sendZeroPages(): Promise<void> {
    const found = this.#zeroPages;
    if (found.length === 0) return;
    this.#zeroPages = [];
    const stream = this.#stream;
    for (const { block, pages } of found) {
      const { name } = this.#ram.blocks[block]!;
      for (const page of pages) {
        // The buffer has room for one more record whenever it is not full.
        if (stream.full) await stream.send();
        stream.advance(this.#encoder.putZeroPage(stream.buffer, stream.length, name, page * PAGE_SIZE));
      }
    }
  }

  /** A sync at a record in the main stream. */
  async #syncByRecord(): Promise<void> {
    await this.#connections.sync();
    await this.#stream.append(FLUSH_RECORD);
  }
}

const FLUSH_RECORD = flushRecord();

function flushRecord(): Uint8Array {
  const writer = new ByteWriter();
  new RamPageEncoder().multifdFlush(writer);
  return writer.view().slice();
}
