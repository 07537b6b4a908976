import { locateError, MigrationError } from "@peregrine/protocol";
import type { MultifdInit } from "@peregrine/protocol";
import type { RamAccess } from "@peregrine/shared-state";
import { ChannelThread } from "./channel-thread-link.ts";
import type { ChannelEvents, MultifdConnection } from "./channel-thread-link.ts";
import { processClock } from "./incoming-statistics.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import type { Interruption } from "./interruption.ts";
import { Meeting } from "./meeting.ts";
import type { PlacedBlock } from "./ram-loader.ts";

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

/** Guest memory, for the threads of the channels. */
export interface ListedMemory {
  readonly access: RamAccess;
  readonly blocks: readonly PlacedBlock[];
}

/**
 * Loads the pages that come on multifd channels, beside the main stream and in step with it. Each channel has a thread,
 * which is there before the channel is.
 */
export class MultifdReceiver {
  readonly #options: MultifdReceiverOptions;
  readonly #meeting: Meeting;
  readonly #memoryComplete = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #threads: ChannelThread[] = [];
  readonly #seen = new Set<number>();
  #opened = 0;
  #waitingSince: number | undefined;
  #uuid: Uint8Array | undefined;
  #memory: (() => ListedMemory) | undefined;

  constructor(options: MultifdReceiverOptions) {
    this.#options = options;
    this.#meeting = new Meeting(options.channels);
    for (let writer = 1; writer <= options.channels; writer++) this.#threads.push(this.#thread(writer));
  }

  /** 16 bytes: the virtual machine's UUID, as the channels name it. Undefined before the first one has. */
  get uuid(): Uint8Array | undefined {
    return this.#uuid;
  }

  /** Since when the stream waits for the channels, by the process's clock; undefined while it does not. */
  get waitingSince(): number | undefined {
    return this.#waitingSince;
  }

  /** Where the pages go. Asked once, at the first {@link meet}; channels name no page before. */
  attach(memory: () => ListedMemory): void {
    this.#memory = memory;
  }

  /**
   * Loads a channel to its end. Returns at once, never throws.
   * @param fromSource whether it is known to be the source's: one too many ends the load then, because pages would be missing.
   */
  add(connection: MultifdConnection, fromSource = true): void {
    const thread = this.#threads[this.#opened++];
    if (thread !== undefined) {
      void thread.load(connection);
      return;
    }
    connection.channel?.destroy();
    if (fromSource) this.#options.interruption.interrupt(this.#tooMany());
  }

  /**
   * The main stream is at a point that all channels have to come to; resolves when they have.
   * Errors: TRUNCATED when one of them has ended; LOAD_FAILED when there are not enough after a while.
   */
  async meet(): Promise<void> {
    const { channels, channelsWait, interruption } = this.#options;
    this.#handOutMemory();
    this.#waitingSince = processClock();
    const timer = setTimeout(() => {
      if (this.#seen.size < channels) interruption.interrupt(this.#tooFew());
    }, channelsWait ?? CHANNELS_WAIT);
    try {
      await interruption.wait(this.#meeting.meet());
    } finally {
      clearTimeout(timer);
      this.#waitingSince = undefined;
    }
  }

  /** All of memory has come: no page may follow, and the channels may end. */
  memoryComplete(): void {
    Atomics.store(this.#memoryComplete, 0, 1);
  }

  /** Drops all channels. Resolves when nothing is left of their threads. */
  async close(): Promise<void> {
    for (const thread of this.#threads) thread.close();
    await Promise.all(this.#threads.map(({ gone }) => gone));
  }

  #thread(writer: number): ChannelThread {
    const { statistics, interruption } = this.#options;
    const task = { statistics: statistics.buffer, writer, memoryComplete: this.#memoryComplete.buffer };
    let id = -1;
    const events: ChannelEvents = {
      init: (init) => {
        id = init.channel;
        try {
          this.#init(init);
        } catch (error) {
          const place = { offset: 0, section: `multifd channel ${id}` };
          interruption.interrupt(locateError(MigrationError.from(error), place));
        }
      },
      sync: () => this.#meeting.arrive(),
      ended: () => {
        // Its work may be done, though the main stream is not there yet.
        const text = `Multifd channel ${id} ended before the end of section 'ram'`;
        this.#meeting.leave(new MigrationError("TRUNCATED", text));
      },
      failed: (error) => {
        // A channel that has done its work may end in any way.
        if (this.#memoryComplete[0] !== 0 && error.code !== "BAD_PACKET") return;
        interruption.interrupt(error);
      },
    };
    return new ChannelThread(task, events);
  }

  #handOutMemory(): void {
    if (this.#memory === undefined) return;
    const { access, blocks } = this.#memory();
    this.#memory = undefined;
    for (const thread of this.#threads) thread.open(access, blocks);
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

  #tooMany(): MigrationError {
    const text = `The source has more multifd channels than the ${this.#options.channels} that are expected here`;
    return new MigrationError("LOAD_FAILED", `${text}: set multifd-channels alike at both ends`);
  }

  #tooFew(): MigrationError {
    const { channels } = this.#options;
    // One that is connected and does not say which one it is counts when that is all that is missing.
    const opened = this.#opened < channels ? this.#opened : this.#seen.size;
    return new MigrationError(
      "LOAD_FAILED",
      `The source has opened ${opened} of the ${channels} multifd channels that are expected here: ` +
        "set multifd-channels alike at both ends, or switch multifd off at both",
    );
  }
}
