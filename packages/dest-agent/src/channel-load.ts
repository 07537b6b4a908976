import { MigrationError, MultifdChannelDecoder } from "@peregrine/protocol";
import type { MultifdSink } from "@peregrine/protocol";
import type { GuestRam, OpenRam, RamAccess } from "@peregrine/shared-state";
import { WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { MessageFromChannel } from "./channel-messages.ts";
import { openDecompressor } from "./decompressors.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
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
}

/** Loads what comes on one multifd channel into guest memory, in the channel's own thread. */
export class ChannelLoad {
  readonly #statistics: IncomingStatistics;
  readonly #memoryComplete: Int32Array;
  readonly #tell: (message: MessageFromChannel) => void;
  #memory: Memory | undefined;
  #goOn: (() => void) | undefined;

  constructor({ statistics, memoryComplete, tell }: ChannelLoadOptions) {
    this.#statistics = statistics;
    this.#memoryComplete = new Int32Array(memoryComplete);
    this.#tell = tell;
  }

  /** The list of RAM blocks is complete. */
  async open({ module, data }: RamAccess, blocks: readonly PlacedBlock[]): Promise<void> {
    const { openRam } = (await import(module)) as { readonly openRam: OpenRam };
    this.#memory = { ram: openRam(data), blocks };
  }

  /** The sync that the channel has come to is over. */
  goOn(): void {
    this.#goOn?.();
    this.#goOn = undefined;
  }

  /** Resolves when the channel has ended, behind a whole packet. Errors: what it is refused for; what `chunks` fails with. */
  async run(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const decoder = new MultifdChannelDecoder({ sink: this.#sink(), openDecompressor });
    for await (const chunk of chunks) {
      this.#statistics.addBytes(chunk.length);
      await decoder.push(chunk);
      const room = this.#memory?.ram.room?.();
      if (room !== undefined) await room;
    }
    decoder.end();
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
    if (this.#memory === undefined || Atomics.load(this.#memoryComplete, 0) !== 0) {
      throw new MigrationError(
        "BAD_PACKET",
        "Pages came on a multifd channel behind the end of section 'ram'",
      );
    }
    return this.#memory;
  }
}
