import { MigrationError, MultifdChannelDecoder } from "@peregrine/protocol";
import type { MultifdChannelOptions, MultifdInit, MultifdSink } from "@peregrine/protocol";
import type { MemoryTarget } from "./memory-target.ts";
import type { RamStatistics } from "./ram-statistics.ts";
import type { ChannelSummary } from "./stream-summary.ts";

interface ChannelGroupOptions {
  /** The bytes of each channel. A chunk is valid until the next one is asked for. */
  readonly channels: readonly AsyncIterable<Uint8Array>[];
  readonly statistics: RamStatistics;
  readonly memory: MemoryTarget | undefined;
  readonly openDecompressor: NonNullable<MultifdChannelOptions["openDecompressor"]>;
}

interface Channel {
  state: "reading" | "syncing" | "ended";
  /** Ends its sync. */
  sync: PromiseWithResolvers<void>;
  readonly summary: { -readonly [Key in keyof ChannelSummary]: ChannelSummary[Key] };
}

/**
 * Reads the multifd channels of a migration, all at the same time. Each waits at its syncs for the others and for the
 * main stream.
 */
export class ChannelGroup {
  readonly #options: ChannelGroupOptions;
  readonly #channels: readonly Channel[];
  readonly #reading: Promise<unknown>;
  #changed = Promise.withResolvers<void>();
  #abandoned = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: ChannelGroupOptions) {
    this.#options = options;
    this.#channels = options.channels.map(() => idle());
    this.#reading = Promise.all(
      options.channels.map((bytes, index) => this.#read(this.#channels[index]!, bytes)),
    );
  }

  get summaries(): readonly ChannelSummary[] {
    return this.#channels.map(({ summary }) => summary);
  }

  /** The main stream has come to a sync: waits until all channels have, and lets them go on. Errors: those of any channel. */
  async meet(): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const ended = this.#channels.find(({ state }) => state === "ended");
      if (ended !== undefined) {
        throw new MigrationError(
          "TRUNCATED",
          `Multifd channel ${ended.summary.channel} ended where a sync was expected: the main stream waits for it`,
          { offset: ended.summary.bytes },
        );
      }
      if (this.#channels.every(({ state }) => state === "syncing")) break;
      await this.#changed.promise;
    }
    this.#options.statistics.sync();
    for (const channel of this.#channels) {
      channel.state = "reading";
      channel.sync.resolve();
    }
  }

  /** The main stream has ended: waits until all channels have. Errors: those of any channel. */
  async finish(): Promise<void> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const ahead = this.#channels.find(({ state }) => state === "syncing");
      if (ahead !== undefined) {
        throw new MigrationError(
          "UNEXPECTED_DATA",
          `Multifd channel ${ahead.summary.channel} has a sync that the main stream does not have`,
          { offset: ahead.summary.bytes },
        );
      }
      if (this.#channels.every(({ state }) => state === "ended")) break;
      await this.#changed.promise;
    }
    this.#options.statistics.sync();
  }

  /** Nothing more is wanted of the channels. Resolves when none of them is being read. */
  async abandon(): Promise<void> {
    this.#abandoned = true;
    for (const { sync } of this.#channels) sync.reject(new Abandoned());
    await this.#reading;
  }

  async #read(channel: Channel, bytes: AsyncIterable<Uint8Array>): Promise<void> {
    try {
      const decoder = new MultifdChannelDecoder({
        sink: this.#sink(channel),
        openDecompressor: this.#options.openDecompressor,
      });
      for await (const chunk of bytes) {
        if (this.#abandoned) return;
        channel.summary.bytes += chunk.length;
        await decoder.push(chunk);
      }
      decoder.end();
      channel.state = "ended";
    } catch (error) {
      this.#failure ??= { error };
    }
    this.#notify();
  }

  #notify(): void {
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers<void>();
    resolve();
  }

  #sink(channel: Channel): MultifdSink {
    const { statistics, memory } = this.#options;
    const { summary } = channel;
    /** Bytes of the present packet's pages, which are counted with the first of them. */
    let payloadBytes = 0;
    return {
      init: (init) => this.#introduce(channel, init),
      findBlock: (name) => statistics.find(name),
      packet: (packet) => {
        summary.packets += 1;
        if (packet.kind === "device-state") return;
        if (packet.runs.length > 0) summary.compression = packet.compression;
        ({ payloadBytes } = packet);
      },
      page: (block, offset, bytes) => {
        summary.pages += 1;
        statistics.channelPage(block, offset, "plain", payloadBytes);
        payloadBytes = 0;
        if (memory?.wants(block) === true) memory.page(block, offset, bytes);
      },
      zeroPage: (block, offset, fill) => {
        summary.zeroPages += 1;
        statistics.channelPage(block, offset, "zero", 0);
        if (memory?.wants(block) === true) memory.zeroPage(block, offset, fill);
      },
      deviceState: (_packet, bytes) => {
        summary.deviceStateBytes += bytes.length;
      },
      sync: () => {
        summary.syncs += 1;
        if (this.#abandoned) return Promise.reject(new Abandoned());
        channel.state = "syncing";
        channel.sync = Promise.withResolvers();
        this.#notify();
        return channel.sync.promise;
      },
    };
  }

  #introduce(channel: Channel, { channel: number }: MultifdInit): void {
    if (this.#channels.some(({ summary }) => summary.channel === number)) {
      throw new MigrationError(
        "BAD_PACKET",
        `Two files are multifd channel ${number}; give each channel once`,
      );
    }
    channel.summary.channel = number;
  }
}

function idle(): Channel {
  const summary = {
    channel: -1,
    compression: "none",
    packets: 0,
    pages: 0,
    zeroPages: 0,
    syncs: 0,
    deviceStateBytes: 0,
    bytes: 0,
  };
  const sync = Promise.withResolvers<void>();
  sync.resolve();
  return { state: "reading", sync, summary };
}

/** Ends the reading of a channel that waits. */
class Abandoned extends Error {}
