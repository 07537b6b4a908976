import { fileTypeNumber, Size } from "./abi.ts";
import type { ListedEntry, OpenDirectory } from "./descriptors.ts";
import { HostError } from "./errno.ts";
import type { HostDirectoryEntry, HostFiles } from "./host.ts";

/** Cookies 1 and 2 continue behind `.` and `..`; 0 is the beginning. */
const FIRST_COOKIE = 3;

/** wasi-libc's telldir and seekdir keep 31 bits of a cookie. */
const COOKIE_MASK = 0x7fff_ffff;

const encoder = new TextEncoder();

/**
 * The entries behind `cookie`. Entries come in the order of a hash of their names, and the hash is
 * the cookie. So a listing that was begun continues at the right place although entries came and
 * went, also on another host, and no position in a list has to travel.
 */
export function listFrom(files: HostFiles, directory: OpenDirectory, cookie: bigint): readonly ListedEntry[] {
  if (cookie === 0n || directory.listing === undefined) {
    directory.listing = orderEntries(files.list(directory.handle));
  }
  const listing = directory.listing;
  let low = 0;
  let high = listing.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const entry = listing[middle];
    if (entry !== undefined && BigInt(entry.cookie) <= cookie) low = middle + 1;
    else high = middle;
  }
  return listing.slice(low);
}

/** Gives every entry its cookie, `.` and `..` first. Two names with the same hash get neighbouring cookies. */
export function orderEntries(entries: readonly HostDirectoryEntry[]): ListedEntry[] {
  const hashed = entries.map((entry) => ({ entry, hash: hashName(entry.name) }));
  hashed.sort((a, b) => a.hash - b.hash || (a.entry.name < b.entry.name ? -1 : 1));
  const result: ListedEntry[] = [
    { name: ".", type: "directory", cookie: 1 },
    { name: "..", type: "directory", cookie: 2 },
  ];
  let last = FIRST_COOKIE - 1;
  for (const { entry, hash } of hashed) {
    last = Math.max(hash, last + 1);
    result.push({ ...entry, cookie: last });
  }
  return result;
}

/**
 * Encodes entries as `fd_readdir` does: as many as fit into `limit` bytes, the last one cut off
 * there. A result shorter than `limit` says that the listing is complete.
 */
export function encodeEntries(
  files: HostFiles,
  directory: OpenDirectory,
  entries: readonly ListedEntry[],
  limit: number,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let length = 0;
  for (const entry of entries) {
    if (length >= limit) break;
    const name = encoder.encode(entry.name);
    const bytes = new Uint8Array(Size.dirent + name.length);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(entry.cookie), true);
    view.setBigUint64(8, inodeOf(files, directory, entry), true);
    view.setUint32(16, name.length, true);
    view.setUint8(20, fileTypeNumber(entry.type));
    bytes.set(name, Size.dirent);
    parts.push(bytes);
    length += bytes.length;
  }
  const result = new Uint8Array(Math.min(length, limit));
  let at = 0;
  for (const part of parts) {
    result.set(part.subarray(0, result.length - at), at);
    at += part.length;
  }
  return result;
}

/** 0 for `..`, which may be out of reach, and for an entry that has gone meanwhile. */
function inodeOf(files: HostFiles, directory: OpenDirectory, entry: ListedEntry): bigint {
  if (entry.name === "..") return 0n;
  try {
    const stat =
      entry.name === "." ? files.stat(directory.handle) : files.statAt(directory.handle, entry.name);
    return BigInt.asUintN(64, stat.inode);
  } catch (error) {
    if (error instanceof HostError) return 0n;
    throw error;
  }
}

/** FNV-1a over UTF-16 code units, cut to a cookie. */
function hashName(name: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < name.length; index++) {
    hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
  }
  return Math.max((hash ^ (hash >>> 31)) & COOKIE_MASK, FIRST_COOKIE);
}
