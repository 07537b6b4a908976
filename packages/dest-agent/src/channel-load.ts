import {
  MigrationError,
  MultifdChannelDecoder,
  OFFSET_COUNTER_BYTES,
  openPageKernel,
  WIRE_PAGE_SIZE,
  workMemoryBytes,
} from "@peregrine/protocol";
import type { AwaitedPages, MultifdSink } from "@peregrine/protocol";
import type { GuestRam, OpenRam, PagesInPlace, RamAccess } from "@peregrine/shared-state";
import { LoopTurn } from "@peregrine/transport";
import type { Scattering } from "@peregrine/transport";
import type { MessageFromChannel } from "./channel-messages.ts";
import type { ChunkReader } from "./chunk-reader.ts";
import { openDecompressor } from "./decompressors.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import { completePage, PACKET_PARTS, PacketPages } from "./packet-pages.ts";
import type { PlacedBlock } from "./ram-loader.ts";

export interface ChannelLoadOptions {
  readonly statistics: IncomingStatistics;
  /** One Int32, not 0 when all of memory has come. */
  readonly memoryComplete: SharedArrayBuffer;
  readonly tell: (message: MessageFromChannel) => void;
}

interface Memory {
  readonly ram: GuestRam;
  readonly blocks: readonly PlacedBlock[];
  /** By index in `blocks`; undefined for memory whose pages have to be given to it. */
  readonly inPlace: readonly (PagesInPlace | undefined)[];
}

/** Loads what comes on one multifd channel into guest memory, in the channel's own thread. */
export class ChannelLoad {
  readonly #statistics: IncomingStatistics;
  readonly #memoryComplete: Int32Array;
  readonly #tell: (message: MessageFromChannel) => void;
  readonly #kernel = openPageKernel(
    workMemoryBytes([OFFSET_COUNTER_BYTES, PACKET_PARTS.vector, PACKET_PARTS.header]),
  );
  readonly #decoder: MultifdChannelDecoder;
  #reads: PacketPages | undefined;
  /** What has to be waited for before more is read. */
  #waiting: Promise<void> | undefined;
  #memory: Memory | undefined;
  #goOn: (() => void) | undefined;
  /** Packets of a fast source would be given one after the other without an end, and messages have to be looked for. */
  readonly #turn = new LoopTurn();

  constructor({ statistics, memoryComplete, tell }: ChannelLoadOptions) {
    this.#statistics = statistics;
    this.#memoryComplete = new Int32Array(memoryComplete);
    this.#tell = tell;
    this.#decoder = new MultifdChannelDecoder({ sink: this.#sink(), openDecompressor, kernel: this.#kernel });
  }

  /** The list of RAM blocks is complete. */
  async open({ module, data }: RamAccess, blocks: readonly PlacedBlock[]): Promise<void> {
    const { openRam } = (await import(module)) as { readonly openRam: OpenRam };
    const ram = openRam(data);
    this.#memory = { ram, blocks, inPlace: blocks.map(({ index }) => ram.inPlace?.(index)) };
  }

  /** The sync that the channel has come to is over. */
  goOn(): void {
    this.#goOn?.();
    this.#goOn = undefined;
  }

  /**
   * Resolves when the channel has ended, behind a whole packet.
   * @param scattering of the channel that the chunks come from, if it has that.
   * Errors: what it is refused for; what `chunks` fails with.
   */
  async run(chunks: ChunkReader, scattering: Scattering | undefined): Promise<void> {
    if (scattering !== undefined) this.#reads = new PacketPages(this.#kernel, scattering);
    for (;;) {
      const arrival = await chunks.next();
      if (arrival.kind !== "chunk") break;
      if (this.#take(arrival.bytes)) await chunks.pass(this.#take);
      await this.#waiting;
      await this.#turn.next();
    }
    this.#decoder.end();
  }

  /** Loads a chunk, and what comes soon behind it. @returns whether nothing has to be waited for. */
  readonly #take = (chunk: Uint8Array): boolean => {
    this.#statistics.addBytes(chunk.length);
    this.#waiting = this.#complete(chunk) ?? this.#readOn() ?? this.#memory?.ram.room?.();
    return this.#waiting === undefined && !this.#turn.isOver;
  };

  /** A page of which a part was read to where it belongs goes on there. */
  #complete(chunk: Uint8Array): Promise<void> | undefined {
    const { awaitedPages } = this.#decoder;
    const ram = awaitedPages && this.#memory?.inPlace[awaitedPages.block];
    if (awaitedPages === undefined || ram === undefined || awaitedPages.had === 0)
      return this.#decoder.decode(chunk);
    this.#requireIncomplete();
    const bytes = completePage(ram, awaitedPages, chunk);
    const waiting = this.#placed(awaitedPages, bytes);
    const rest = chunk.subarray(bytes);
    if (waiting === undefined) return this.#decoder.decode(rest);
    return waiting.then(() => this.#decoder.push(rest));
  }

  /** Reads pages to where they belong for as long as they come. */
  #readOn(): Promise<void> | undefined {
    const reads = this.#reads;
    if (reads === undefined || this.#memory?.inPlace.some((ram) => ram !== undefined) !== true)
      return undefined;
    while (!this.#turn.isOver) {
      const { awaitedPages } = this.#decoder;
      if (awaitedPages === undefined) break;
      const ram = this.#memory?.inPlace[awaitedPages.block];
      if (ram === undefined) return undefined;
      this.#requireIncomplete();
      const { bytes, rest } = reads.read(ram, awaitedPages);
      this.#statistics.addBytes(bytes + rest.length);
      const waiting = this.#placed(awaitedPages, bytes);
      if (waiting !== undefined)
        return rest.length === 0 ? waiting : waiting.then(() => this.#decoder.push(rest));
      const decoding = rest.length === 0 ? undefined : this.#decoder.decode(rest);
      if (decoding !== undefined) return decoding;
      if (bytes === 0) break;
    }
    // With the bytes in front of the next pages, or some of them, whoever waits is told that there is more.
    const { bytesToPages, awaitedPages } = this.#decoder;
    if (bytesToPages !== undefined)
      reads.boundNext(bytesToPages || WIRE_PAGE_SIZE - (awaitedPages?.had ?? 0));
    return undefined;
  }

  #placed({ had }: AwaitedPages, bytes: number): Promise<void> | undefined {
    this.#statistics.addPages(Math.floor((had + bytes) / WIRE_PAGE_SIZE));
    return this.#decoder.placed(bytes);
  }

  #sink(): MultifdSink {
    return {
      init: (init) => this.#tell({ kind: "init", init }),
      findBlock: (name) => {
        const blocks = this.#memory?.blocks ?? [];
        const index = blocks.findIndex((block) => block.name === name);
        const block = blocks[index];
        return block === undefined ? undefined : { index, length: block.length };
      },
      page: (block, offset, bytes) => this.#pages(block, offset, bytes),
      pages: (block, offset, bytes) => this.#pages(block, offset, bytes),
      zeroPage: (block, offset, fill) => {
        const { ram, blocks } = this.#loaded();
        ram.fillPages(blocks[block]!.index, offset, 1, fill);
        this.#statistics.addZeroPages(1);
      },
      sync: () => this.#sync(),
    };
  }

  #pages(block: number, offset: number, bytes: Uint8Array): void {
    const { ram, blocks } = this.#loaded();
    ram.writePages(blocks[block]!.index, offset, bytes);
    this.#statistics.addPages(bytes.length / WIRE_PAGE_SIZE);
  }

  #sync(): Promise<void> {
    return new Promise((resolve) => {
      this.#goOn = resolve;
      this.#tell({ kind: "sync" });
    });
  }

  #loaded(): Memory {
    this.#requireIncomplete();
    if (this.#memory === undefined)
      throw new MigrationError("INTERNAL", "pages came before there was memory");
    return this.#memory;
  }

  #requireIncomplete(): void {
    if (Atomics.load(this.#memoryComplete, 0) === 0) return;
    throw new MigrationError("BAD_PACKET", "Pages came on a multifd channel behind the end of section 'ram'");
  }
}
