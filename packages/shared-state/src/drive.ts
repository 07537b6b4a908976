import type { DirtyBitmap } from "./dirty-bitmap.ts";

/** Bytes of one chunk of a drive: what a `block` section sends at a time, and what its dirty bitmap counts. */
export const CHUNK_SIZE = 1 << 20;

/** An image file of fixed size that the guest sees as a file. */
export interface Drive {
  /** As it was named on the command line; the name of the device on the wire. */
  readonly id: string;
  /** Bytes. The last chunk may be shorter than the others. */
  readonly length: number;
}

/**
 * The drives of a guest that is being sent, as the migration thread sees them. Drives are named by their index
 * in `drives`, chunks by their index in the drive.
 */
export interface OutgoingDrives {
  readonly drives: readonly Drive[];
  /** Whether the drive's own file holds any of the chunk; the rest of a drive is in its backing file. */
  holds(drive: number, chunk: number): boolean;
  /**
   * Takes the dirty log and clears it: sets a bit in `into[drive]` for every chunk written since the last call. A
   * chunk's mark is taken before the chunk can be read by `read`, never after.
   * @returns how many bits were set that were clear before.
   */
  harvest(into: readonly DirtyBitmap[]): number;
  /** Copies a chunk into `target`, CHUNK_SIZE bytes; zeros behind the drive's end. The guest may be writing meanwhile. */
  read(drive: number, chunk: number, target: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/**
 * The drives of a guest that arrives, as the incoming thread sees them. A call is made when the one before has ended,
 * and more may be written behind a `sync`. Nothing of what is written can be seen in the drive's file before
 * {@link MachineDrives.takeOver}.
 */
export interface IncomingDrives {
  readonly drives: readonly Drive[];
  /** Writes a whole chunk; what lies behind the drive's end is left out. Errors: WRITE_FAILED, as when the disk is full. */
  write(drive: number, chunk: number, bytes: Uint8Array): Promise<void>;
  /** Makes a chunk zeros. */
  writeZeros(drive: number, chunk: number): Promise<void>;
  /**
   * Resolves when everything written is on the disk and {@link MachineDrives.takeOver} has nothing left to copy. Called
   * behind the last chunk; also earlier, so that the last time has less to do. Errors: WRITE_FAILED.
   */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** How another thread gets at the drives: it imports `module` (a URL) and calls its export with `data`. */
export interface DriveAccess {
  readonly module: string;
  readonly data: unknown;
}

/** What the module exports as `openOutgoingDrives`. */
export type OpenOutgoingDrives = (data: unknown) => Promise<OutgoingDrives>;
/** What the module exports as `openIncomingDrives`. */
export type OpenIncomingDrives = (data: unknown) => Promise<IncomingDrives>;

/** The drives of a machine, as its main thread sees them. Only one host at a time may hold them. */
export interface MachineDrives {
  readonly drives: readonly Drive[];
  /** For the migration thread; every chunk written from now on is in the dirty log. */
  outgoing(): DriveAccess;
  /**
   * For the incoming thread, when contents come in the stream and not before: it makes the files that take them.
   * Until {@link discard} or {@link takeOver} a second call gives the same. Errors: DRIVE_LOCKED, WRITE_FAILED.
   */
  incoming(): DriveAccess;
  /**
   * At the source, when the guest stands still and everything is read: writes back and gives up the locks, so that
   * the destination can take them.
   */
  release(): Promise<void>;
  /**
   * Before a guest that was stopped goes on: takes the locks again. Does nothing when they are held.
   * Errors: DRIVE_LOCKED.
   */
  reclaim(): Promise<void>;
  /**
   * At the destination, when everything has come and before the source is told so: takes the locks, all or none,
   * and nothing else. While this fails the guest can still go on at the source. Errors: DRIVE_LOCKED, NO_SUCH_FILE.
   */
  lock(): Promise<void>;
  /**
   * At the destination, when nobody knows who has the guest: gives up what {@link lock} took, so that whoever has it
   * can use the drives. What came in the stream is kept. Does nothing when nothing is locked.
   */
  unlock(): Promise<void>;
  /**
   * At the destination, after the load and before the guest runs: takes the locks unless {@link lock} did, puts what
   * came in the stream in place, and forgets everything that was read of the files before. It can be called again
   * when it has failed. Errors: DRIVE_LOCKED, NO_SUCH_FILE.
   */
  takeOver(): Promise<void>;
  /** At the destination, when the load failed: nothing of what came is left, and no lock is held. */
  discard(): Promise<void>;
}
