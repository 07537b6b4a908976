import { MigrationError } from "@peregrine/protocol";
import type { InflatePage, Limits, MultifdChannelOptions } from "@peregrine/protocol";
import { ChannelGroup } from "./channel-group.ts";
import type { MemoryTarget } from "./memory-target.ts";
import { StreamInspector } from "./stream-inspector.ts";
import type { InspectListener } from "./stream-inspector.ts";
import type { StreamSummary } from "./stream-summary.ts";

/** The bytes of one migration. Each chunk is valid until the next one is asked for. */
export interface StreamInput {
  readonly main: AsyncIterable<Uint8Array>;
  /** Its multifd channels, in any order. */
  readonly channels: readonly AsyncIterable<Uint8Array>[];
  /** Offset in its file of the main stream's first byte. */
  readonly fileOffset: number;
}

/** What undoes the compression of pages. */
export interface PageCodecs {
  readonly inflate: InflatePage;
  readonly openDecompressor: NonNullable<MultifdChannelOptions["openDecompressor"]>;
}

/** What a stream is read with. */
export interface InspectOptions {
  readonly limits: Limits;
  readonly codecs: PageCodecs;
  readonly listener?: InspectListener;
  /** Takes the contents of guest memory. */
  readonly memory?: MemoryTarget;
}

/** What was found in a stream. */
export interface Inspection {
  readonly summary: StreamSummary;
  /** Why the reading ended before the end. What came before it is in the summary. */
  readonly fault: MigrationError | undefined;
}

/** Reads a migration to its end, or to the first thing that cannot be read. Rejects only with defects. */
export async function inspectStream(input: StreamInput, options: InspectOptions): Promise<Inspection> {
  const { limits, codecs, listener = {}, memory } = options;
  const inspector = new StreamInspector({
    limits,
    listener,
    memory,
    inflate: codecs.inflate,
    channels: input.channels.length > 0,
    fileOffset: input.fileOffset,
  });
  const channels = new ChannelGroup({
    channels: input.channels,
    statistics: inspector.statistics,
    memory,
    openDecompressor: codecs.openDecompressor,
  });
  try {
    const fault = await faultOf(() => readAll(input.main, inspector, channels, listener));
    if (fault !== undefined) inspector.abandon();
    return { summary: inspector.summary(channels.summaries), fault };
  } finally {
    await channels.abandon();
  }
}

async function readAll(
  main: AsyncIterable<Uint8Array>,
  inspector: StreamInspector,
  channels: ChannelGroup,
  listener: InspectListener,
): Promise<void> {
  for await (const chunk of main) {
    for (let free = inspector.push(chunk); !free; free = inspector.resume()) await channels.meet();
    await listener.caughtUp?.();
  }
  while (!inspector.end()) {
    do await channels.meet();
    while (!inspector.resume());
  }
  await channels.finish();
}

async function faultOf(read: () => Promise<void>): Promise<MigrationError | undefined> {
  try {
    await read();
    return undefined;
  } catch (error) {
    if (MigrationError.is(error)) return error;
    throw error;
  }
}
