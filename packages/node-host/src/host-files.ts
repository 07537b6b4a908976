import fs from "node:fs";
import { errnoName, HostError } from "@peregrine/machine-wasm/guest";
import type {
  HostDirectoryEntry,
  HostFiles,
  HostFileStat,
  HostFileType,
  HostHandle,
  HostOpenOptions,
  HostTime,
} from "@peregrine/machine-wasm";

const { constants } = fs;

/** Windows has no O_DIRECTORY, O_NOFOLLOW and so on; a flag that is missing is 0 there. */
const flag = (value: number | undefined): number => value ?? 0;

/** A pipe or device must not block the guest's thread in open(2); what is no file is refused after it. */
const OPEN_ALWAYS = flag(constants.O_NOFOLLOW) | flag(constants.O_NONBLOCK);

const nameDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Linux names an open directory this way, and a path below it is resolved from there: openat(2) for Node. */
const DESCRIPTOR_DIRECTORY = "/proc/self/fd";

/**
 * Files of this host. Every name is one component that is looked up from an open directory, and is not followed when it
 * is a link, so a walk stays where it is whatever other processes rename meanwhile. openat2(2) would say the same of a
 * whole path in one call, but Node has no such call, and the paths that the walk finds are needed for a move.
 *
 * That takes Linux with `/proc`. Elsewhere a directory could only be known by its path, and whoever swaps a parent for a
 * link between two calls leads it away; so no directory is opened there.
 */
export class NodeFiles implements HostFiles {
  /** Errors: besides those of the system, ENOTSUP where nobody can be confined to a directory. */
  openRoot(hostPath: string): HostHandle {
    const handle = this.#open(hostPath, constants.O_RDONLY | flag(constants.O_DIRECTORY));
    if (this.#isNamedByDescriptor(handle)) return handle;
    this.close(handle);
    throw new HostError("ENOTSUP");
  }

  openDirectory(directory: HostHandle, name: string): HostHandle {
    return this.#open(
      this.#at(directory, name),
      constants.O_RDONLY | flag(constants.O_DIRECTORY) | OPEN_ALWAYS,
    );
  }

  openFile(directory: HostHandle, name: string, options: HostOpenOptions): HostHandle {
    const path = this.#at(directory, name);
    const handle = this.#open(path, openFlags(options) | OPEN_ALWAYS);
    try {
      refuseSpecial(this.stat(handle).type);
    } catch (error) {
      this.close(handle);
      throw error;
    }
    return handle;
  }

  reopen(handle: HostHandle, options: HostOpenOptions): HostHandle {
    const flags = openFlags({ ...options, create: false, exclusive: false, truncate: false });
    const again = this.#open(`${DESCRIPTOR_DIRECTORY}/${handle}`, flags | flag(constants.O_NONBLOCK));
    const [before, after] = [this.stat(handle), this.stat(again)];
    if (before.device === after.device && before.inode === after.inode) return again;
    this.close(again);
    throw new HostError("ESTALE");
  }

  close(handle: HostHandle): void {
    attempt(() => fs.closeSync(handle));
  }

  read(handle: HostHandle, target: Uint8Array, position: bigint): number {
    return attempt(() => fs.readSync(handle, target, 0, target.length, position));
  }

  write(handle: HostHandle, bytes: Uint8Array, position: bigint): number {
    // Node takes a position for a write only as a number.
    return attempt(() => fs.writeSync(handle, bytes, 0, bytes.length, exactNumber(position)));
  }

  stat(handle: HostHandle): HostFileStat {
    return attempt(() => hostStat(fs.fstatSync(handle, { bigint: true })));
  }

  setSize(handle: HostHandle, size: bigint): void {
    attempt(() => fs.ftruncateSync(handle, exactNumber(size)));
  }

  setTimes(handle: HostHandle, accessed: HostTime, modified: HostTime): void {
    const stat = this.stat(handle);
    attempt(() =>
      fs.futimesSync(handle, seconds(accessed, stat.accessedNs), seconds(modified, stat.modifiedNs)),
    );
  }

  sync(handle: HostHandle, what: "data" | "all"): void {
    attempt(() => (what === "data" ? fs.fdatasyncSync(handle) : fs.fsyncSync(handle)));
  }

  list(directory: HostHandle): HostDirectoryEntry[] {
    const entries = attempt(() =>
      fs.readdirSync(this.#at(directory, "."), { withFileTypes: true, encoding: "buffer" }),
    );
    const result: HostDirectoryEntry[] = [];
    for (const entry of entries) {
      const name = utf8Name(entry.name);
      if (name !== undefined) result.push({ name, type: fileType(entry) });
    }
    return result;
  }

  statAt(directory: HostHandle, name: string): HostFileStat {
    return attempt(() => hostStat(fs.lstatSync(this.#at(directory, name), { bigint: true })));
  }

  setTimesAt(directory: HostHandle, name: string, accessed: HostTime, modified: HostTime): void {
    const stat = this.statAt(directory, name);
    attempt(() =>
      fs.lutimesSync(
        this.#at(directory, name),
        seconds(accessed, stat.accessedNs),
        seconds(modified, stat.modifiedNs),
      ),
    );
  }

  createDirectory(directory: HostHandle, name: string): void {
    attempt(() => fs.mkdirSync(this.#at(directory, name)));
  }

  removeDirectory(directory: HostHandle, name: string): void {
    attempt(() => fs.rmdirSync(this.#at(directory, name)));
  }

  unlink(directory: HostHandle, name: string): void {
    attempt(() => fs.unlinkSync(this.#at(directory, name)));
  }

  rename(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle, toName: string): void {
    attempt(() => fs.renameSync(this.#at(fromDirectory, fromName), this.#at(toDirectory, toName)));
  }

  link(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle, toName: string): void {
    attempt(() => fs.linkSync(this.#at(fromDirectory, fromName), this.#at(toDirectory, toName)));
  }

  symlink(target: string, directory: HostHandle, name: string): void {
    attempt(() => fs.symlinkSync(target, this.#at(directory, name)));
  }

  readLink(directory: HostHandle, name: string): string {
    const bytes = attempt(() => fs.readlinkSync(this.#at(directory, name), { encoding: "buffer" }));
    const target = utf8Name(bytes);
    if (target === undefined) throw new HostError("EILSEQ");
    return target;
  }

  #open(path: string, flags: number): HostHandle {
    return attempt(() => fs.openSync(path, flags, 0o666));
  }

  #at(directory: HostHandle, name: string): string {
    if (name.includes("/") || name === ".." || name === "") throw new HostError("EINVAL");
    return `${DESCRIPTOR_DIRECTORY}/${directory}/${name}`;
  }

  /** What is at the place of `/proc` may be something else. */
  #isNamedByDescriptor(directory: HostHandle): boolean {
    try {
      const [held, named] = [this.stat(directory), this.statAt(directory, ".")];
      return held.device === named.device && held.inode === named.inode;
    } catch (error) {
      if (error instanceof HostError) return false;
      throw error;
    }
  }
}

function openFlags(options: HostOpenOptions): number {
  const { read, write } = options;
  let flags = read && write ? constants.O_RDWR : write ? constants.O_WRONLY : constants.O_RDONLY;
  if (options.append) flags |= constants.O_APPEND;
  if (options.create) flags |= constants.O_CREAT;
  if (options.exclusive) flags |= constants.O_EXCL;
  if (options.truncate) flags |= constants.O_TRUNC;
  if (options.sync === "data") flags |= flag(constants.O_DSYNC);
  if (options.sync === "all") flags |= flag(constants.O_SYNC);
  return flags;
}

/** Only regular files can be opened again elsewhere by their path. */
function refuseSpecial(type: HostFileType): void {
  if (type === "directory") throw new HostError("EISDIR");
  if (type !== "regular") throw new HostError("ENOTSUP");
}

function hostStat(stat: fs.BigIntStats): HostFileStat {
  return {
    type: fileType(stat),
    device: stat.dev,
    inode: stat.ino,
    links: stat.nlink,
    size: stat.size,
    accessedNs: stat.atimeNs,
    modifiedNs: stat.mtimeNs,
    changedNs: stat.ctimeNs,
  };
}

type TypeQueries = Pick<
  fs.BigIntStats,
  "isFile" | "isDirectory" | "isSymbolicLink" | "isBlockDevice" | "isCharacterDevice" | "isSocket"
>;

function fileType(entry: TypeQueries): HostFileType {
  if (entry.isFile()) return "regular";
  if (entry.isDirectory()) return "directory";
  if (entry.isSymbolicLink()) return "symlink";
  if (entry.isBlockDevice()) return "block-device";
  if (entry.isCharacterDevice()) return "character-device";
  return entry.isSocket() ? "socket" : "other";
}

/** Node takes times as seconds in a double, so some hundred nanoseconds are lost. */
function seconds(time: HostTime, present: bigint): number {
  if (time === "now") return Date.now() / 1000;
  return Number(time === "keep" ? present : time) / 1e9;
}

function exactNumber(value: bigint): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new HostError("EFBIG");
  return Number(value);
}

function utf8Name(bytes: Uint8Array): string | undefined {
  try {
    return nameDecoder.decode(bytes);
  } catch {
    return undefined;
  }
}

function attempt<T>(operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw hostError(error);
  }
}

/** An error of the file system becomes a HostError. Anything else is a defect and stays what it is. */
export function hostError(error: unknown): unknown {
  if (error instanceof HostError || !(error instanceof Error) || !("syscall" in error)) return error;
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  return new HostError(errnoName(code), error);
}
