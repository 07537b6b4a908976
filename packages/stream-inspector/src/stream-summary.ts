import type { BitmapSummary, DiskSummary } from "./live-sections.ts";
import type { PassSummary } from "./pass-counter.ts";
import type { BlockSummary } from "./ram-statistics.ts";

/** What is known of a stream when its end was reached, or when the reading ended before. */
export interface StreamSummary {
  readonly item: "summary";
  /** Bytes that were read of the main stream. */
  readonly bytes: number;
  /** Whether the stream came to its end. */
  readonly complete: boolean;
  /** Undefined: the stream has no configuration section. */
  readonly machineType: string | undefined;
  /** As the section `globalstate` has it. */
  readonly runState: string | undefined;
  /** What the stream is framed with. Undefined: it ended too early to tell. */
  readonly configuration: boolean;
  readonly footers: boolean | undefined;
  readonly vmDescription: boolean;
  readonly sections: number;
  readonly devices: number;
  /** Nothing tells the device sections apart, so they are not counted. */
  readonly undivided: boolean;
  readonly blocks: readonly BlockSummary[];
  readonly passes: readonly PassSummary[];
  readonly discardedPages: number;
  /** Records after which everything on the multifd channels has to be there. */
  readonly multifdFlushes: number;
  readonly channels: readonly ChannelSummary[];
  readonly disks: readonly DiskSummary[];
  readonly bitmaps: readonly BitmapSummary[];
}

/** What came on a multifd channel. */
export interface ChannelSummary {
  readonly channel: number;
  readonly compression: string;
  readonly packets: number;
  readonly pages: number;
  readonly zeroPages: number;
  readonly syncs: number;
  readonly deviceStateBytes: number;
  readonly bytes: number;
}

/** Pages of all blocks that were announced and never came. */
export function missingPages({ blocks }: Pick<StreamSummary, "blocks">): number {
  return blocks.reduce((sum, block) => sum + block.missingPages, 0);
}
