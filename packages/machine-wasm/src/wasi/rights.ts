/** Rights of preview1. All known ones fit in 30 bits, so they are plain numbers here. */
export const Right = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdFdstatSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  fdAllocate: 1 << 8,
  pathCreateDirectory: 1 << 9,
  pathCreateFile: 1 << 10,
  pathLinkSource: 1 << 11,
  pathLinkTarget: 1 << 12,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  pathReadlink: 1 << 15,
  pathRenameSource: 1 << 16,
  pathRenameTarget: 1 << 17,
  pathFilestatGet: 1 << 18,
  pathFilestatSetSize: 1 << 19,
  pathFilestatSetTimes: 1 << 20,
  fdFilestatGet: 1 << 21,
  fdFilestatSetSize: 1 << 22,
  fdFilestatSetTimes: 1 << 23,
  pathSymlink: 1 << 24,
  pathRemoveDirectory: 1 << 25,
  pathUnlinkFile: 1 << 26,
  pollFdReadwrite: 1 << 27,
  sockShutdown: 1 << 28,
  sockAccept: 1 << 29,
} as const;

export const ALL_RIGHTS = (1 << 30) - 1;

/** Rights that make sense for a regular file. */
export const FILE_RIGHTS =
  Right.fdDatasync |
  Right.fdRead |
  Right.fdSeek |
  Right.fdFdstatSetFlags |
  Right.fdSync |
  Right.fdTell |
  Right.fdWrite |
  Right.fdAdvise |
  Right.fdAllocate |
  Right.fdFilestatGet |
  Right.fdFilestatSetSize |
  Right.fdFilestatSetTimes |
  Right.pollFdReadwrite;

/** Rights that make sense for a directory. */
export const DIRECTORY_RIGHTS =
  Right.fdFdstatSetFlags |
  Right.fdSync |
  Right.fdDatasync |
  Right.fdAdvise |
  Right.pathCreateDirectory |
  Right.pathCreateFile |
  Right.pathLinkSource |
  Right.pathLinkTarget |
  Right.pathOpen |
  Right.fdReaddir |
  Right.pathReadlink |
  Right.pathRenameSource |
  Right.pathRenameTarget |
  Right.pathFilestatGet |
  Right.pathFilestatSetSize |
  Right.pathFilestatSetTimes |
  Right.fdFilestatGet |
  Right.fdFilestatSetTimes |
  Right.pathSymlink |
  Right.pathRemoveDirectory |
  Right.pathUnlinkFile;

/** Rights of standard input. No seek and no tell: wasi-libc's `isatty` asks for their absence. */
export const CONSOLE_INPUT_RIGHTS =
  Right.fdRead | Right.fdFdstatSetFlags | Right.fdFilestatGet | Right.pollFdReadwrite;

/** Rights of standard output and standard error. */
export const CONSOLE_OUTPUT_RIGHTS =
  Right.fdWrite | Right.fdFdstatSetFlags | Right.fdFilestatGet | Right.pollFdReadwrite;

/** Rights whose holder wants the host's file open for writing. */
export const WRITE_ACCESS = Right.fdWrite | Right.fdAllocate | Right.fdFilestatSetSize;

/** The known rights in a 64-bit mask from the guest. */
export function rightsFromGuest(mask: bigint): number {
  return Number(mask & BigInt(ALL_RIGHTS));
}
