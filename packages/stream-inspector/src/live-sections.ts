import {
  BLOCK_SECTION,
  BlockDecoder,
  DIRTY_BITMAP_SECTION,
  DirtyBitmapDecoder,
  limitExceeded,
  MigrationError,
} from "@peregrine/protocol";
import type { Limits, PayloadDecoder, SectionHeader } from "@peregrine/protocol";

/** Disks and bitmaps that are listed. */
const MOST_NAMES = 4096;

export interface DiskSummary {
  readonly name: string;
  /** Chunks of 1 MiB that came with data, and those that came as zero. */
  chunks: number;
  zeroChunks: number;
}

export interface BitmapSummary {
  readonly node: string;
  readonly bitmap: string;
  /** Bytes of the disk that one bit stands for. */
  granularity: number;
  /** Records with bits, and those that say that all are clear. */
  chunks: number;
  zeroChunks: number;
  complete: boolean;
}

/** Counts what comes in sections with parts other than `ram`: the contents and the dirty bitmaps of disks. */
export class LiveSections {
  readonly #limits: Limits;
  readonly #disks = new Map<string, DiskSummary>();
  readonly #bitmaps = new Map<string, BitmapSummary>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  get disks(): readonly DiskSummary[] {
    return [...this.#disks.values()];
  }

  get bitmaps(): readonly BitmapSummary[] {
    return [...this.#bitmaps.values()];
  }

  /** Errors: UNKNOWN_SECTION when the format of the section is not known here. */
  decoder({ name, instance }: SectionHeader): PayloadDecoder {
    switch (name) {
      case BLOCK_SECTION.name:
        return new BlockDecoder({
          chunk: (disk) => {
            this.#disk(disk).chunks += 1;
            return true;
          },
          zeroChunk: (disk) => {
            this.#disk(disk).zeroChunks += 1;
            return true;
          },
          progress: () => undefined,
        });
      case DIRTY_BITMAP_SECTION.name:
        return this.#bitmapDecoder();
      default:
        throw new MigrationError(
          "UNKNOWN_SECTION",
          `The section '${name}' ${instance} comes in parts, whose format is not known here`,
        );
    }
  }

  #disk(name: string): DiskSummary {
    return entryOf(this.#disks, name, () => ({ name, chunks: 0, zeroChunks: 0 }));
  }

  #bitmapDecoder(): DirtyBitmapDecoder {
    return new DirtyBitmapDecoder({
      limits: this.#limits,
      record: (record) => {
        const { node, bitmap } = record;
        const summary = entryOf(this.#bitmaps, JSON.stringify([node, bitmap]), () => ({
          node,
          bitmap,
          granularity: 0,
          chunks: 0,
          zeroChunks: 0,
          complete: false,
        }));
        if (record.kind === "start") summary.granularity = record.granularity;
        else if (record.kind === "complete") summary.complete = true;
        else if (record.bits === undefined) summary.zeroChunks += 1;
        else summary.chunks += 1;
      },
    });
  }
}

function entryOf<T>(entries: Map<string, T>, key: string, make: () => T): T {
  const known = entries.get(key);
  if (known !== undefined) return known;
  if (entries.size >= MOST_NAMES) {
    throw limitExceeded("names of disks and bitmaps", MOST_NAMES + 1, MOST_NAMES);
  }
  const entry = make();
  entries.set(key, entry);
  return entry;
}
