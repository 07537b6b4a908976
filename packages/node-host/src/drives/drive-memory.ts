import { CHUNK_SIZE, type Drive } from "@peregrine/shared-state/drive";
import { ClusterMap } from "./cluster-map.ts";

/** What the threads of a process share of a drive. Survives structured clone. */
export interface DriveMemory extends Drive {
  /** Words by their index in {@link DRIVE_WORD}. */
  readonly words: SharedArrayBuffer;
  /** The dirty log: a byte for each chunk, in whole words. */
  readonly log: SharedArrayBuffer;
  /** Of an overlay; see ClusterMap. */
  readonly map: SharedArrayBuffer | undefined;
}

export const DRIVE_WORD = {
  /** Descriptor of the image file. The main thread opens and closes it. */
  image: 0,
  /** Descriptor of the backing file. */
  backing: 1,
  /** 1 when anything has come in the stream. */
  received: 2,
  /** 1 when everything that came is on the disk. */
  synced: 3,
} as const;

/** In place of a descriptor: the file is not open. */
export const NO_FILE = -1;

export function newDriveMemory({ id, length }: Drive, isOverlay: boolean): DriveMemory {
  const words = new SharedArrayBuffer(4 * Object.keys(DRIVE_WORD).length);
  new Int32Array(words).fill(NO_FILE, DRIVE_WORD.image, DRIVE_WORD.backing + 1);
  const chunks = Math.ceil(length / CHUNK_SIZE);
  return {
    id,
    length,
    words,
    log: new SharedArrayBuffer(4 * Math.ceil(chunks / 4)),
    map: isOverlay ? new SharedArrayBuffer(ClusterMap.bytesFor(length)) : undefined,
  };
}
