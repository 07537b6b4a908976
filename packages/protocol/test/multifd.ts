import { DEFAULT_LIMITS, MultifdChannelDecoder, StreamDecoder } from "../src/index.ts";
import type { MultifdInit, MultifdPages, MultifdSink, SectionHeader } from "../src/index.ts";
import { Chunks } from "./chunks.ts";
import type { ChunkSizes } from "./chunks.ts";
import { openDecompressor } from "./decompressors.ts";
import { WholeEcho } from "./whole-echo.ts";

/** The point that the main stream and all channels have to come to before any of them goes on. */
class Meeting {
  readonly #channels: number;
  #arrived: (() => void)[] = [];
  #complete: (() => void) | undefined;

  constructor(channels: number) {
    this.#channels = channels;
  }

  /** A channel is here. The promise ends when it may go on. */
  arrive(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived.push(resolve);
      if (this.#arrived.length === this.#channels) this.#complete?.();
    });
  }

  /** The main stream is here. Lets all channels go on when they have come. */
  async meet(): Promise<void> {
    if (this.#arrived.length < this.#channels) {
      await new Promise<void>((resolve) => {
        this.#complete = resolve;
      });
    }
    const all = this.#arrived;
    this.#arrived = [];
    for (const goOn of all) goOn();
  }
}

export interface MultifdStreams {
  readonly main: Uint8Array;
  readonly channels: readonly Uint8Array[];
  /** Whether all meet at the end of every section of `ram`, as releases before 8.1 do, and not at flush records. */
  readonly meetAfterSections: boolean;
}

/** Encodes the main stream again. Memory is filled from it and from the channels. */
export class MultifdEcho extends WholeEcho {
  readonly inits: MultifdInit[] = [];
  readonly packets: MultifdPages[] = [];
  /** Stops the decoding of the main stream until all have met. */
  meet: () => void = () => {};
  readonly #meetAfterSections: boolean;

  constructor(meetAfterSections: boolean) {
    super(true);
    this.#meetAfterSections = meetAfterSections;
  }

  override multifdFlush(): boolean {
    super.multifdFlush();
    this.meet();
    return false;
  }

  override close(header: SectionHeader): void {
    super.close(header);
    if (this.#meetAfterSections && header.name === "ram") this.meet();
  }

  channel(sync: () => Promise<void>): MultifdSink {
    return {
      init: (init) => this.inits.push(init),
      findBlock: (name) => {
        const index = this.blocks.findIndex((one) => one.name === name);
        const block = this.blocks[index];
        return block === undefined ? undefined : { index, length: block.length };
      },
      page: (block, offset, bytes) => this.memory[block]!.set(bytes, offset),
      zeroPage: (block, offset, fill) => this.memory[block]!.fill(fill, offset, offset + 4096),
      packet: (packet) => {
        if (packet.kind === "pages") this.packets.push(packet);
      },
      sync,
    };
  }
}

/** Decodes the main stream and the channels side by side, to their ends. */
export async function decodeMultifd(streams: MultifdStreams, sizes: ChunkSizes): Promise<MultifdEcho> {
  const echo = new MultifdEcho(streams.meetAfterSections);
  const meeting = new Meeting(streams.channels.length);
  const channels = streams.channels.map(async (bytes) => {
    const decoder = new MultifdChannelDecoder({
      sink: echo.channel(() => meeting.arrive()),
      openDecompressor,
    });
    const chunks = new Chunks(bytes, sizes);
    for (let chunk = chunks.next(); chunk !== undefined; chunk = chunks.next()) await decoder.push(chunk);
    decoder.end();
  });
  await Promise.all([decodeMain(streams.main, echo, meeting, sizes), ...channels]);
  return echo;
}

async function decodeMain(
  bytes: Uint8Array,
  echo: MultifdEcho,
  meeting: Meeting,
  sizes: ChunkSizes,
): Promise<void> {
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: echo });
  echo.meet = () => decoder.suspend();
  const chunks = new Chunks(bytes, sizes);
  for (let chunk = chunks.next(); chunk !== undefined; chunk = chunks.next()) {
    for (let free = decoder.push(chunk); !free; free = decoder.resume()) await meeting.meet();
  }
  decoder.end();
}
