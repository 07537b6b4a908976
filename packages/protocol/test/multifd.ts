import { DEFAULT_LIMITS, MultifdChannelDecoder, StreamDecoder } from "../src/index.ts";
import type { MultifdInit, MultifdPages, MultifdSink, SectionHeader } from "../src/index.ts";
import { openDecompressor } from "./decompressors.ts";
import { FirstDevice, Memory, RamHandler } from "./rebuild.ts";

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

/** Memory that is filled from the main stream and from channels. */
export class MultifdMemory extends Memory {
  readonly inits: MultifdInit[] = [];
  readonly packets: MultifdPages[] = [];
  flush: () => void = () => {};

  multifdFlush(): boolean {
    this.flush();
    return false;
  }

  channel(sync: () => Promise<void>): MultifdSink {
    return {
      init: (init) => this.inits.push(init),
      findBlock: (name) => {
        const index = this.blocks.findIndex((one) => one.name === name);
        const block = this.blocks[index];
        return block === undefined ? undefined : { index, length: block.length };
      },
      page: (block, offset, bytes) => this.page(block, offset, bytes),
      zeroPage: (block, offset, fill) => this.zeroPage(block, offset, fill),
      packet: (packet) => {
        if (packet.kind === "pages") this.packets.push(packet);
      },
      sync,
    };
  }
}

/** Reads the main stream up to its first device section, and the channels to their ends. */
export async function rebuildMultifd(
  streams: MultifdStreams,
  memory: MultifdMemory,
  sizes: () => number,
): Promise<void> {
  const meeting = new Meeting(streams.channels.length);
  const channels = streams.channels.map(async (bytes) => {
    const decoder = new MultifdChannelDecoder({
      sink: memory.channel(() => meeting.arrive()),
      openDecompressor,
    });
    for (const chunk of chunks(bytes, sizes)) await decoder.push(chunk);
    decoder.end();
  });
  await Promise.all([rebuildMain(streams, memory, meeting, sizes), ...channels]);
}

async function rebuildMain(
  { main, meetAfterSections }: MultifdStreams,
  memory: MultifdMemory,
  meeting: Meeting,
  sizes: () => number,
): Promise<void> {
  class Handler extends RamHandler {
    close(_header: SectionHeader): void {
      if (meetAfterSections) decoder.suspend();
    }
  }
  const decoder = new StreamDecoder({ limits: DEFAULT_LIMITS, handler: new Handler(memory) });
  memory.flush = () => decoder.suspend();
  try {
    for (const chunk of chunks(main, sizes)) {
      for (let free = decoder.push(chunk); !free; free = decoder.resume()) await meeting.meet();
    }
  } catch (error) {
    if (error instanceof FirstDevice) return;
    throw error;
  }
  throw new Error("the main stream has no device section");
}

function* chunks(bytes: Uint8Array, sizes: () => number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length;) {
    const size = sizes();
    // A copy, so that one that is used after its time shows.
    const chunk = new Uint8Array(bytes.subarray(at, at + size));
    yield chunk;
    chunk.fill(0xee);
    at += size;
  }
}
