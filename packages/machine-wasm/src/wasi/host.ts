import type { Drive } from "@peregrine/shared-state";

/**
 * Everything the WASI layer needs from outside. All of it is synchronous, because the guest calls
 * from inside WebAssembly. Failures are thrown as {@link HostError}.
 */

/** What `WebAssembly.Memory` gives the WASI layer. `buffer` is another object after the memory grew. */
export interface GuestMemorySource {
  readonly buffer: ArrayBufferLike;
}

/** A number by which a {@link HostFiles} knows an open file or directory. */
export type HostHandle = number;

/** What a name in a directory of the host is. */
export type HostFileType =
  | "regular"
  | "directory"
  | "symlink"
  | "block-device"
  | "character-device"
  | "socket"
  | "other";

/** What a host knows of a file. */
export interface HostFileStat {
  readonly type: HostFileType;
  /** Device and inode together say whether two names mean the same file. */
  readonly device: bigint;
  readonly inode: bigint;
  readonly links: bigint;
  /** Bytes. */
  readonly size: bigint;
  /** Nanoseconds since 1970. */
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** How a file of the host is opened. */
export interface HostOpenOptions {
  readonly read: boolean;
  readonly write: boolean;
  /** Every write goes to the end of the file. */
  readonly append: boolean;
  /** Writes return when their data are on the medium. */
  readonly sync: "none" | "data" | "all";
  readonly create: boolean;
  /** With `create`: fails with EEXIST when the name exists. */
  readonly exclusive: boolean;
  readonly truncate: boolean;
}

/** A time to set: nanoseconds since 1970, the present, or left as it is. */
export type HostTime = bigint | "now" | "keep";

/** A name in a directory of the host. */
export interface HostDirectoryEntry {
  readonly name: string;
  readonly type: HostFileType;
}

/**
 * Files of the host, in the manner of openat(2). A `name` is one path component, or `.` for the
 * directory itself; it never holds a slash and is never `..`. **No method follows a symbolic link
 * that `name` is.** So a caller that walks a path one component at a time cannot be led out of a
 * directory, also not by another process that swaps a component for a link meanwhile.
 */
export interface HostFiles {
  /** Opens a directory by its host path, following links: the root of a preopened directory. */
  openRoot(hostPath: string): HostHandle;
  /** Errors: ENOTDIR for anything that is not a directory, links included. */
  openDirectory(directory: HostHandle, name: string): HostHandle;
  /**
   * Opens a regular file. Errors: ELOOP for a link, EISDIR for a directory opened for writing,
   * ENOTSUP for devices, pipes and sockets.
   */
  openFile(directory: HostHandle, name: string, options: HostOpenOptions): HostHandle;
  /** Opens the file behind an open handle again with other flags; `create`, `exclusive` and `truncate` are ignored. */
  reopen(handle: HostHandle, options: HostOpenOptions): HostHandle;
  close(handle: HostHandle): void;

  /**
   * Reads at byte `position`; returns how many bytes, 0 at the end. `target` may view shared memory. No read and no write
   * is of more than `MAX_TRANSFER` bytes or ends behind `MAX_POSITION`.
   */
  read(handle: HostHandle, target: Uint8Array, position: bigint): number;
  /** Writes at byte `position`, or at the end for a handle opened with `append`. Returns how many bytes. */
  write(handle: HostHandle, bytes: Uint8Array, position: bigint): number;
  stat(handle: HostHandle): HostFileStat;
  setSize(handle: HostHandle, size: bigint): void;
  setTimes(handle: HostHandle, accessed: HostTime, modified: HostTime): void;
  /** Flushes to the medium: the data alone, or all of it. */
  sync(handle: HostHandle, what: "data" | "all"): void;
  /** All entries but `.` and `..`. Names that are not UTF-8 are left out: a guest could not name them. */
  list(directory: HostHandle): HostDirectoryEntry[];

  statAt(directory: HostHandle, name: string): HostFileStat;
  setTimesAt(directory: HostHandle, name: string, accessed: HostTime, modified: HostTime): void;
  createDirectory(directory: HostHandle, name: string): void;
  removeDirectory(directory: HostHandle, name: string): void;
  unlink(directory: HostHandle, name: string): void;
  rename(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle, toName: string): void;
  link(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle, toName: string): void;
  symlink(target: string, directory: HostHandle, name: string): void;
  readLink(directory: HostHandle, name: string): string;
}

/**
 * The contents of the guest's drives. A drive is named by its index in `drives`; every range lies inside of it.
 * Failures are those of the image file: ENOSPC, EIO, ...
 */
export interface HostDrives {
  readonly drives: readonly Drive[];
  /** Fills `target`. It may view shared memory. */
  read(drive: number, target: Uint8Array, position: number): void;
  /** Writes all of `bytes`, which may view shared memory. */
  write(drive: number, bytes: Uint8Array, position: number): void;
  /** Flushes to the medium: the data alone, or all of it. */
  sync(drive: number, what: "data" | "all"): void;
  /** Nanoseconds since 1970. */
  modifiedNs(drive: number): bigint;
}

/** The clocks that a program can ask for. */
export type HostClockId = "realtime" | "monotonic";

/** The clocks of a host. */
export interface HostClock {
  /** Nanoseconds since 1970. */
  realtimeNs(): bigint;
  /** Nanoseconds since any fixed moment; never goes back. */
  monotonicNs(): bigint;
  resolutionNs(id: HostClockId): bigint;
}

/** Where a guest's random numbers come from. */
export interface HostRandom {
  /** Fills `bytes`, which is private memory of at most 64 KiB, with random bytes of cryptographic quality. */
  fill(bytes: Uint8Array): void;
}

/** The guest's standard input, output and error: 0, 1, 2. */
export type ConsoleStream = 0 | 1 | 2;

/** Where a guest's standard output and error go. */
export interface HostConsole {
  /** Writes what it can now; fewer bytes than given, or 0, when the descriptor is full. Errors: EPIPE. */
  write(stream: 1 | 2, bytes: Uint8Array): number;
  /** Takes input bytes that are at hand: 0 if there are none now, undefined at the end of input. */
  read(target: Uint8Array): number | undefined;
  /** Bytes that can be read now without waiting. */
  readable(): number | "end";
  isTerminal(stream: ConsoleStream): boolean;
}

/** How host calls wait, and how they leave the guest. */
export interface GuestControl {
  /** True when the guest is asked to unwind, for a stop or a switch of variants. */
  interrupted(): boolean;
  /**
   * Blocks until something happens: interruption, console input, or the deadline. It may return early.
   * What happened since the last wait counts: it ends this one at once, so that no wake is lost
   * between looking and waiting.
   * @param deadlineNs on the host's monotonic clock; undefined waits for ever.
   */
  wait(deadlineNs: bigint | undefined): void;
  /** Unwinds the guest out of the host call. The same call is issued again, with the same arguments, after a resume. */
  unwind(): never;
  /** Marks bytes of guest memory dirty. Called after they were written. */
  markDirty(address: number, length: number): void;
}

/** Thrown through the guest by `proc_exit`. */
export class GuestExitSignal extends Error {
  override readonly name = "GuestExitSignal";
  /** 0 to 2^32 - 1, as the guest gave it. */
  readonly status: number;

  constructor(status: number) {
    super(`the guest exited with status ${status}`);
    this.status = status;
  }
}
