import { MigrationError, MultifdChannelDecoder } from "@peregrine/protocol";
import type { MultifdInit, MultifdSink } from "@peregrine/protocol";
import { openDecompressor } from "./decompressors.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import type { Interruption } from "./interruption.ts";
import { Meeting } from "./meeting.ts";
import type { RamLoader } from "./ram-loader.ts";

/** Milliseconds that a source has for opening its channels once the list of RAM blocks has come. */
const CHANNELS_WAIT = 30_000;

export interface MultifdReceiverOptions {
  /** How many channels the source opens: 1 to 255. */
  readonly channels: number;
  readonly statistics: IncomingStatistics;
  /** Told when a channel is refused or breaks. */
  readonly interruption: Interruption;
  /** Milliseconds. Default: 30 000. */
  readonly channelsWait?: number;
}

/** Loads the pages that come on multifd channels, beside the main stream and in step with it. */
export class MultifdReceiver {
  readonly #options: MultifdReceiverOptions;
  readonly #meeting: Meeting;
  readonly #seen = new Set<number>();
  #opened = 0;
  #uuid: Uint8Array | undefined;
  #ram: RamLoader | undefined;
  #memoryComplete = false;

  constructor(options: MultifdReceiverOptions) {
    this.#options = options;
    this.#meeting = new Meeting(options.channels);
  }

  /** 16 bytes: the virtual machine's UUID, as the channels name it. Undefined before the first one has. */
  get uuid(): Uint8Array | undefined {
    return this.#uuid;
  }

  /** Where the pages go. Channels name no page before the first {@link meet}. */
  attach(ram: RamLoader): void {
    this.#ram = ram;
  }

  /** Loads a channel to its end. Returns at once, never throws. */
  add(chunks: AsyncIterable<Uint8Array>): void {
    this.#load(chunks).catch((error: unknown) => {
      this.#options.interruption.interrupt(MigrationError.from(error));
    });
  }

  /**
   * The main stream is at a point that all channels have to come to; resolves when they have.
   * Errors: TRUNCATED when one of them has ended; LOAD_FAILED when there are not enough after a while.
   */
  async meet(): Promise<void> {
    const { channels, channelsWait, interruption } = this.#options;
    const timer = setTimeout(() => {
      if (this.#seen.size < channels) interruption.interrupt(this.#tooFew());
    }, channelsWait ?? CHANNELS_WAIT);
    try {
      await interruption.wait(this.#meeting.meet());
    } finally {
      clearTimeout(timer);
    }
  }

  /** All of memory has come: no page may follow, and the channels may end. */
  memoryComplete(): void {
    this.#memoryComplete = true;
  }

  async #load(chunks: AsyncIterable<Uint8Array>): Promise<void> {
    const { channels, statistics, interruption } = this.#options;
    this.#opened++;
    if (this.#opened > channels) throw this.#tooMany();
    let id = -1;
    const sink = this.#sink((init) => {
      this.#init(init);
      id = init.channel;
    });
    const decoder = new MultifdChannelDecoder({ sink, openDecompressor });
    try {
      for await (const chunk of chunks) {
        statistics.addBytes(chunk.length);
        await interruption.wait(decoder.push(chunk));
        const room = this.#ram?.room();
        if (room !== undefined) await interruption.wait(room);
      }
      decoder.end();
    } catch (error) {
      // A channel that has done its work may end in any way.
      if (this.#memoryComplete && !isBadPacket(error)) return;
      throw error;
    }
    // Its work may be done, though the main stream is not there yet.
    const text = `Multifd channel ${id} ended before the end of section 'ram'`;
    this.#meeting.leave(new MigrationError("TRUNCATED", text));
  }

  #sink(init: MultifdSink["init"]): MultifdSink {
    return {
      init,
      findBlock: (name) => this.#ram?.find(name),
      page: (block, offset, bytes) => this.#loadedRam().page(block, offset, bytes),
      zeroPage: (block, offset, fill) => this.#loadedRam().zeroPage(block, offset, fill),
      sync: () => this.#meeting.arrive(),
    };
  }

  /** Errors: LOAD_FAILED, BAD_PACKET when this channel is not expected. */
  #init({ channel, uuid }: MultifdInit): void {
    if (channel >= this.#options.channels) throw this.#tooMany();
    if (this.#seen.has(channel)) {
      throw new MigrationError("BAD_PACKET", `Multifd channel ${channel} was opened twice`);
    }
    if (this.#uuid !== undefined && Buffer.compare(this.#uuid, uuid) !== 0) {
      const text = `Multifd channel ${channel} belongs to another virtual machine: its UUID differs from the others'`;
      throw new MigrationError("LOAD_FAILED", text);
    }
    this.#seen.add(channel);
    this.#uuid = new Uint8Array(uuid);
  }

  #loadedRam(): RamLoader {
    if (this.#ram === undefined || this.#memoryComplete) {
      throw new MigrationError(
        "BAD_PACKET",
        "Pages came on a multifd channel behind the end of section 'ram'",
      );
    }
    return this.#ram;
  }

  #tooMany(): MigrationError {
    const text = `The source has more multifd channels than the ${this.#options.channels} that are expected here`;
    return new MigrationError("LOAD_FAILED", `${text}: set multifd-channels alike at both ends`);
  }

  #tooFew(): MigrationError {
    const { channels } = this.#options;
    return new MigrationError(
      "LOAD_FAILED",
      `The source has opened ${this.#seen.size} of the ${channels} multifd channels that are expected here: ` +
        "set multifd-channels alike at both ends, or switch multifd off at both",
    );
  }
}

function isBadPacket(error: unknown): boolean {
  return MigrationError.is(error) && error.code === "BAD_PACKET";
}
