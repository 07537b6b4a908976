/** The section that carries the dirty bitmaps of disks. */
export const DIRTY_BITMAP_SECTION = { name: "dirty-bitmap", instance: 0, version: 1 } as const;

export const DIRTY_BITMAP_FLAG = {
  endOfSection: 0x01,
  zeroes: 0x02,
  bitmapName: 0x04,
  nodeName: 0x08,
  start: 0x10,
  complete: 0x20,
  bits: 0x40,
  /** The flags have a second byte; set in that one too, they have four. */
  more: 0x80,
} as const;

export const DIRTY_BITMAP_START_FLAG = { enabled: 0x01, persistent: 0x02, autoload: 0x04 } as const;

/** What a record of the section is about. */
export interface DirtyBitmapName {
  /** Alias of the block node. */
  readonly node: string;
  /** Alias of the bitmap. */
  readonly bitmap: string;
}

/** A record of section `dirty-bitmap`: about one bitmap of one disk. */
export type DirtyBitmapRecord = DirtyBitmapName &
  (
    | {
        readonly kind: "start";
        /** Bytes of the disk that one bit stands for. */
        readonly granularity: number;
        readonly enabled: boolean;
        readonly persistent: boolean;
        /** Sent by old releases and ignored. */
        readonly autoload: boolean;
      }
    | {
        readonly kind: "bits";
        /** First of the sectors of 512 bytes, and how many. */
        readonly startSector: number;
        readonly sectors: number;
        /** The serialized bits; undefined when all are clear. */
        readonly bits: Uint8Array | undefined;
      }
    | { readonly kind: "complete" }
  );
