import {
  ByteWriter,
  encodeRamBlockList,
  MigrationError,
  MULTIFD_PACKET_PAGES,
  MultifdChannelEncoder,
  RamPageEncoder,
} from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestRam, MigrationStatistics, ParameterValues } from "@peregrine/shared-state";
import { openCompressor } from "./multifd-compressor.ts";
import { explain, MultifdConnection } from "./multifd-connection.ts";
import { MultifdConnections } from "./multifd-connections.ts";
import { multifdSyncMode } from "./multifd-sync-mode.ts";
import type { MultifdSyncMode } from "./multifd-sync-mode.ts";
import { RUN_PAGES } from "./outgoing-stream.ts";
import type { OutgoingStream } from "./outgoing-stream.ts";
import { PageBatch } from "./page-batch.ts";
import type { PageSender, PageSenderOptions } from "./page-sender.ts";

const ZERO_PAGE = Buffer.alloc(PAGE_SIZE);
const UUID_BYTES = 16;

/**
 * Sends pages on connections of their own, each with packets of up to 128 pages; zero pages and the sections' frames go
 * in the main stream. Nothing is held but two packets for each connection.
 *
 * The order between connections is lost. What must not overtake anything is put behind a sync: the destination goes on
 * from there when the main stream and all connections have come to it.
 */
export class MultifdSender implements PageSender {
  readonly #ram: GuestRam;
  readonly #stream: OutgoingStream;
  readonly #statistics: MigrationStatistics;
  readonly #connections: MultifdConnections;
  readonly #mode: MultifdSyncMode;
  readonly #compressed: boolean;
  readonly #signal: AbortSignal;
  readonly #encoder = new RamPageEncoder();
  /** What is being filled. */
  #batch = new PageBatch();

  private constructor(
    { ram, stream, statistics, opening, signal }: PageSenderOptions,
    connections: MultifdConnections,
    compressed: boolean,
  ) {
    this.#ram = ram;
    this.#stream = stream;
    this.#statistics = statistics;
    this.#connections = connections;
    this.#mode = multifdSyncMode(opening.configuration?.machineType);
    this.#compressed = compressed;
    this.#signal = signal;
    signal.addEventListener("abort", this.#giveUp);
  }

  /** Opens the connections and says on each which one it is. Errors: CONNECT_FAILED, CHANNEL_FAILED. */
  static async open(options: PageSenderOptions): Promise<MultifdSender> {
    // As they are now: a change takes effect with the next migration.
    const settings = options.parameters.values();
    const connections: MultifdConnection[] = [];
    const compressed = settings["multifd-compression"] !== "none";
    const sender = new MultifdSender(options, new MultifdConnections(connections), compressed);
    try {
      // The main connection is the first, and says at once that it is the main one.
      await options.stream.flush();
      const uuid = options.opening.uuid ?? new Uint8Array(UUID_BYTES);
      for (let channel = 0; channel < settings["multifd-channels"]; channel++) {
        const connection = await connect(options, settings, channel);
        connections.push(connection);
        await connection.open({ uuid, channel });
      }
      return sender;
    } catch (error) {
      sender.close();
      throw error;
    }
  }

  get runPages(): number {
    return Math.min(RUN_PAGES, Math.max(this.#batchPages - this.#batch.offsets.length, 1));
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
    if (this.#batch.isEmpty || this.#batch.block === block) return this.#put(block, page, count);
    return this.#sendBatch().then(() => this.#put(block, page, count));
  }

  async endSection(kind: "start" | "part" | "end"): Promise<void> {
    if (this.#mode === "section") await this.#sync();
    else if (kind !== "part") await this.#syncByRecord();
    if (kind === "end") await this.#connections.flush();
  }

  close(): undefined {
    this.#signal.removeEventListener("abort", this.#giveUp);
    // After the END section the kernel has everything, and ends the connections behind it.
    this.#connections.destroy();
  }

  readonly #giveUp = (): void => {
    this.#connections.destroy(MigrationError.from(this.#signal.reason));
  };

  /** Pages that a packet has under the present limit. What pages become when they are compressed is not known before. */
  get #batchPages(): number {
    if (this.#compressed) return MULTIFD_PACKET_PAGES;
    const pages = Math.floor(this.#stream.chunkBytes / PAGE_SIZE);
    return Math.min(Math.max(pages, 1), MULTIFD_PACKET_PAGES);
  }

  /** Puts the pages into the batch, and those that are zero into the main stream. */
  #put(block: number, page: number, count: number): Promise<void> | undefined {
    const name = this.#ram.blocks[block]!.name;
    const batch = this.#batch;
    const stream = this.#stream;
    const start = batch.length;
    let records = stream.length;
    batch.block = block;
    this.#ram.readPages(block, page, count, batch.bytes, start);
    let zeroPages = 0;
    for (let n = 0; n < count; n++) {
      const from = start + n * PAGE_SIZE;
      const offset = (page + n) * PAGE_SIZE;
      if (batch.bytes.compare(ZERO_PAGE, 0, PAGE_SIZE, from, from + PAGE_SIZE) === 0) {
        records = this.#encoder.putZeroPage(stream.buffer, records, name, offset);
        zeroPages++;
        continue;
      }
      if (zeroPages > 0) batch.bytes.copyWithin(batch.length, from, from + PAGE_SIZE);
      batch.offsets.push(offset);
    }
    stream.advance(records);
    this.#statistics.duplicate += zeroPages;
    this.#statistics.normal += count - zeroPages;
    return this.#sendWhatIsFull();
  }

  #sendWhatIsFull(): Promise<void> | undefined {
    const streamed = this.#stream.full ? this.#stream.send() : undefined;
    if (this.#batch.offsets.length < this.#batchPages) return streamed;
    return streamed === undefined ? this.#sendBatch() : streamed.then(() => this.#sendBatch());
  }

  async #sendBatch(): Promise<void> {
    const batch = this.#batch;
    this.#batch = await this.#connections.send(this.#ram.blocks[batch.block]!.name, batch);
  }

  async #sync(): Promise<void> {
    if (!this.#batch.isEmpty) await this.#sendBatch();
    await this.#connections.sync();
  }

  /** A sync at a record in the main stream. */
  async #syncByRecord(): Promise<void> {
    await this.#sync();
    await this.#stream.append(FLUSH_RECORD);
  }
}

async function connect(
  { connect: open, stream, statistics }: PageSenderOptions,
  settings: ParameterValues,
  channel: number,
): Promise<MultifdConnection> {
  const which = `connection ${channel + 1} of the ${settings["multifd-channels"]} for multifd`;
  const opened = await open().catch((cause: unknown) => {
    throw explain(MigrationError.from(cause), which);
  });
  return new MultifdConnection({
    channel: opened,
    which,
    // Understood by every release that has multifd since 5.0.
    encoder: new MultifdChannelEncoder({ layout: "5.0", compressor: openCompressor(settings) }),
    count: (bytes) => {
      stream.count(bytes);
      statistics.multifdBytes += bytes;
    },
  });
}

const FLUSH_RECORD = flushRecord();

function flushRecord(): Uint8Array {
  const writer = new ByteWriter();
  new RamPageEncoder().multifdFlush(writer);
  return writer.view().slice();
}
