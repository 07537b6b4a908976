/** Numbers of the WASI preview1 interface, as its witx files define them. */

import type { HostFileType } from "./host.ts";

export const FileType = {
  unknown: 0,
  blockDevice: 1,
  characterDevice: 2,
  directory: 3,
  regularFile: 4,
  socketStream: 6,
  symbolicLink: 7,
} as const;

const FILE_TYPES: Readonly<Record<HostFileType, number>> = {
  regular: FileType.regularFile,
  directory: FileType.directory,
  symlink: FileType.symbolicLink,
  "block-device": FileType.blockDevice,
  "character-device": FileType.characterDevice,
  socket: FileType.socketStream,
  other: FileType.unknown,
};

export function fileTypeNumber(type: HostFileType): number {
  return FILE_TYPES[type];
}

/** `fdflags` */
export const FdFlag = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
export const ALL_FD_FLAGS = 0x1f;

/** `oflags` */
export const OpenFlag = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
export const ALL_OPEN_FLAGS = 0xf;

/** `lookupflags` */
export const LOOKUP_SYMLINK_FOLLOW = 1;

/** `fstflags` */
export const SetTimesFlag = { accessed: 1, accessedNow: 2, modified: 4, modifiedNow: 8 } as const;

export const Whence = { set: 0, current: 1, end: 2 } as const;

export const ClockId = { realtime: 0, monotonic: 1, processCpu: 2, threadCpu: 3 } as const;

export const EventType = { clock: 0, fdRead: 1, fdWrite: 2 } as const;

/** `subclockflags` */
export const CLOCK_ABSOLUTE = 1;

/** `eventrwflags` */
export const EVENT_HANGUP = 1;

/** Sizes of structures in guest memory, in bytes. */
export const Size = {
  dirent: 24,
  event: 32,
  fdstat: 24,
  filestat: 64,
  iovec: 8,
  prestat: 8,
  subscription: 48,
} as const;

/** Most buffers in one read or write, as POSIX systems have it (IOV_MAX). */
export const MAX_IOVECS = 1024;

/** Most subscriptions in one `poll_oneoff`. */
export const MAX_SUBSCRIPTIONS = 8192;

/** Largest file position. */
export const MAX_POSITION = (1n << 63n) - 1n;

/** Most bytes that one read or write of a file moves, as Linux has it (MAX_RW_COUNT). */
export const MAX_TRANSFER = 0x7fff_f000;
