import {
  ByteWriter,
  DEFAULT_LIMITS,
  encodeReturnMessage,
  MultifdChannelDecoder,
  RamDecoder,
  StreamDecoder,
} from "@peregrine/protocol";
import type {
  MultifdInit,
  MultifdPages,
  MultifdSink,
  RamBlockEntry,
  RamSink,
  ReturnMessage,
} from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import { formatUri, listen } from "@peregrine/transport";
import type { Channel, Listener } from "@peregrine/transport";
import type { MultifdSyncMode } from "../multifd-sync-mode.ts";
import { openDecompressor } from "./stream-decompressor.ts";

export interface MultifdReceiverOptions {
  readonly channels: number;
  readonly mode: MultifdSyncMode;
  /** What it answers when everything is there: 0 accepts it. Without it nothing is answered. */
  readonly shut?: number;
  /**
   * Waited for before each read from a connection; the first one is the main one. It is told how many packets with pages
   * have come on that connection.
   */
  readonly mayRead?: (connection: number, packets: number) => Promise<void>;
}

/** The point that the main stream and all channels have to come to before any of them goes on. */
class Meeting {
  readonly #channels: number;
  readonly #met: () => void;
  #waiting: (() => void)[] = [];
  #complete: (() => void) | undefined;

  /** @param met called when all are there, before any goes on. */
  constructor(channels: number, met: () => void) {
    this.#channels = channels;
    this.#met = met;
  }

  /** A channel is there. Resolves when it may go on. */
  arrive(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === this.#channels) this.#complete?.();
    });
  }

  /** The main stream is there. Lets all go on when they have come. */
  async meet(): Promise<void> {
    if (this.#waiting.length < this.#channels) {
      await new Promise<void>((resolve) => {
        this.#complete = resolve;
      });
    }
    const all = this.#waiting;
    this.#waiting = [];
    this.#met();
    for (const goOn of all) goOn();
  }
}

/**
 * A destination for guest memory that comes over several connections, made of the protocol's decoders alone. It refuses
 * a page that comes twice between two syncs, because nothing would say which of them is the newer one.
 */
export class MultifdReceiver implements AsyncDisposable {
  readonly uri: string;
  /** The main connection and then the channels, in the order in which they came. */
  readonly connections: Channel[] = [];
  readonly inits: MultifdInit[] = [];
  /** The packets of each channel. */
  readonly packets: MultifdPages[][] = [];
  /** What came on the main stream: `start`, `flush`, `part`, `zero` ... */
  readonly items: string[] = [];
  readonly blocks: RamBlockEntry[] = [];
  readonly ram: Uint8Array[] = [];
  /** Resolves when all connections are there. */
  readonly accepted: Promise<void>;
  /** Resolves when the END section is complete. */
  readonly complete: Promise<void>;
  /** Resolves when every channel has ended behind a whole packet. */
  readonly channelsEnded: Promise<void>;
  readonly #channelsEnded = Promise.withResolvers<void>();
  readonly #accepted = Promise.withResolvers<void>();
  readonly #options: MultifdReceiverOptions;
  readonly #listener: Listener;
  readonly #meeting: Meeting;
  readonly #sinceSync = new Set<string>();

  private constructor(listener: Listener, options: MultifdReceiverOptions) {
    this.#listener = listener;
    this.#options = options;
    this.uri = formatUri(listener.address);
    this.#meeting = new Meeting(options.channels, () => this.#sinceSync.clear());
    this.accepted = this.#accepted.promise;
    this.channelsEnded = this.#channelsEnded.promise;
    this.complete = this.#receive();
    this.complete.catch(() => {});
  }

  static async listen(options: MultifdReceiverOptions): Promise<MultifdReceiver> {
    return new MultifdReceiver(await listen("tcp:127.0.0.1:0"), options);
  }

  /** Bytes that came on the channels. */
  get channelBytes(): number {
    return this.connections.slice(1).reduce((sum, { bytesRead }) => sum + bytesRead, 0);
  }

  /** Takes no more connections. */
  stopListening(): Promise<void> {
    return this.#listener.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.connections) connection.destroy();
    await this.stopListening();
  }

  async #receive(): Promise<void> {
    const main = await this.#accept();
    const channels: Promise<void>[] = [];
    for (let channel = 0; channel < this.#options.channels; channel++) {
      const reading = this.#readChannel(await this.#accept(), channel);
      reading.catch(() => {});
      channels.push(reading);
    }
    await this.stopListening();
    this.#accepted.resolve();
    // A channel ends in order when everything is there; one that fails before is the reason.
    const ended = Promise.all(channels).then(() => {
      this.#channelsEnded.resolve();
      return new Promise<never>(() => {});
    });
    await Promise.race([this.#readMain(main), ended]);
  }

  async #accept(): Promise<Channel> {
    const connection = await this.#listener.accept();
    this.connections.push(connection);
    return connection;
  }

  async #readMain(main: Channel): Promise<void> {
    const { mode, shut } = this.#options;
    let end: "memory" | "stream" | undefined;
    const ram = new RamDecoder({ limits: DEFAULT_LIMITS, sink: this.#sink(() => decoder.suspend()) });
    const decoder = new StreamDecoder({
      limits: DEFAULT_LIMITS,
      handler: {
        configuration: () => {},
        open: ({ name }) => (name === "ram" ? ram : { payload: () => {} }),
        close: ({ name, kind }) => {
          if (name !== "ram") return;
          this.items.push(kind);
          if (kind === "end") end = "memory";
          if (mode === "section") decoder.suspend();
        },
        command: (command) => {
          if (command.kind === "ping") void this.#answer(main, { kind: "pong", value: command.value });
        },
        endMark: () => {},
        vmDescription: () => {
          end = "stream";
        },
      },
    });
    for await (const chunk of this.#read(main, 0, [])) {
      for (let free = decoder.push(chunk); !free; free = decoder.resume()) await this.#meeting.meet();
      if (end === "stream") break;
      if (end === "memory" && shut === undefined) return;
    }
    if (end === undefined) throw new Error("the main stream ended before the END section");
    if (shut !== undefined) await this.#answer(main, { kind: "shut", status: shut });
  }

  async #answer(main: Channel, message: ReturnMessage): Promise<void> {
    const writer = new ByteWriter();
    encodeReturnMessage(writer, message);
    // A source that has gone is noticed by the reader.
    await main.write(writer.view()).catch(() => {});
  }

  async #readChannel(connection: Channel, channel: number): Promise<void> {
    const packets: MultifdPages[] = [];
    this.packets.push(packets);
    const decoder = new MultifdChannelDecoder({ sink: this.#channelSink(packets), openDecompressor });
    for await (const chunk of this.#read(connection, 1 + channel, packets)) await decoder.push(chunk);
    decoder.end();
  }

  async *#read(
    connection: Channel,
    index: number,
    packets: readonly MultifdPages[],
  ): AsyncGenerator<Uint8Array, void, void> {
    const { mayRead } = this.#options;
    await mayRead?.(index, packets.length);
    for await (const chunk of connection.read()) {
      yield chunk;
      await mayRead?.(index, packets.length);
    }
  }

  #sink(suspend: () => void): RamSink {
    return {
      blockList: (blocks) => {
        this.blocks.push(...blocks);
        this.ram.push(...blocks.map(({ length }) => new Uint8Array(length)));
      },
      zeroPage: (block, offset) => {
        this.items.push("zero");
        this.#page(block, offset, new Uint8Array(PAGE_SIZE));
      },
      page: () => {
        throw new Error("a page came on the main stream");
      },
      multifdFlush: () => {
        this.items.push("flush");
        suspend();
        return false;
      },
    };
  }

  #channelSink(packets: MultifdPages[]): MultifdSink {
    return {
      init: (init) => this.inits.push(init),
      findBlock: (name) => {
        const index = this.blocks.findIndex((block) => block.name === name);
        return index < 0 ? undefined : { index, length: this.blocks[index]!.length };
      },
      page: (block, offset, bytes) => this.#page(block, offset, bytes),
      zeroPage: (block, offset) => this.#page(block, offset, new Uint8Array(PAGE_SIZE)),
      sync: () => this.#meeting.arrive(),
      packet: (packet) => {
        if (packet.kind === "pages") packets.push(packet);
      },
    };
  }

  #page(block: number, offset: number, bytes: Uint8Array): void {
    const page = `${block}:${offset}`;
    if (this.#sinceSync.has(page)) throw new Error(`page ${page} came twice between two syncs`);
    this.#sinceSync.add(page);
    this.ram[block]!.set(bytes, offset);
  }
}
