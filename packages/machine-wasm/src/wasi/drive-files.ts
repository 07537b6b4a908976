import { HostError } from "./errno.ts";
import type { ErrnoName } from "./errno.ts";
import type {
  HostDirectoryEntry,
  HostDrives,
  HostFiles,
  HostFileStat,
  HostHandle,
  HostOpenOptions,
  HostTime,
} from "./host.ts";

/** The directory in which the guest finds its drives. */
export const DRIVES_PATH = "/drives";

/** What stands in for that directory's path on the host. No path of a directory is like it: those are absolute. */
export const DRIVES_ROOT = "drives:";

/** The directory. What belongs to drives has negative handles. */
const DIRECTORY: HostHandle = -1;
const FIRST_FILE = 2;

/** Device of everything in the directory. The host's own are small numbers. */
const DEVICE = 0x6472_6976_6573n;
const DIRECTORY_INODE = 1n;

const SYNC_MODES = ["none", "data", "all"] as const;

/** What a handle of an open drive says. */
interface OpenDrive {
  readonly drive: number;
  readonly append: boolean;
  readonly sync: HostOpenOptions["sync"];
}

/**
 * Files of the host, and the guest's drives as files of fixed size in a directory of their own. Nothing can be made,
 * renamed or deleted there. A write stops at the drive's end, and one that begins there is refused with ENOSPC; the size
 * cannot be changed.
 *
 * A handle of a drive is made of what it was opened with, so it means the same in every thread, and needs no closing.
 */
export class DriveFiles implements HostFiles {
  readonly #files: HostFiles;
  readonly #drives: HostDrives;

  constructor(files: HostFiles, drives: HostDrives) {
    this.#files = files;
    this.#drives = drives;
  }

  openRoot(hostPath: string): HostHandle {
    return hostPath === DRIVES_ROOT ? DIRECTORY : this.#files.openRoot(hostPath);
  }

  openDirectory(directory: HostHandle, name: string): HostHandle {
    if (directory !== DIRECTORY) return this.#files.openDirectory(directory, name);
    if (name === ".") return DIRECTORY;
    this.#require(name);
    throw new HostError("ENOTDIR");
  }

  openFile(directory: HostHandle, name: string, options: HostOpenOptions): HostHandle {
    if (directory !== DIRECTORY) return this.#files.openFile(directory, name, options);
    if (name === ".") throw new HostError("EISDIR");
    const drive = this.#find(name);
    if (drive < 0) throw new HostError(options.create ? "EPERM" : "ENOENT");
    if (options.create && options.exclusive) throw new HostError("EEXIST");
    if (options.truncate) throw new HostError("EPERM");
    return handleOf(drive, options);
  }

  reopen(handle: HostHandle, options: HostOpenOptions): HostHandle {
    if (handle === DIRECTORY) return handle;
    return isFile(handle) ? this.#files.reopen(handle, options) : handleOf(openDrive(handle).drive, options);
  }

  close(handle: HostHandle): void {
    if (isFile(handle)) this.#files.close(handle);
  }

  read(handle: HostHandle, target: Uint8Array, position: bigint): number {
    if (isFile(handle)) return this.#files.read(handle, target, position);
    const { drive } = openDrive(handle);
    const length = this.#room(drive, position, target.length);
    if (length > 0) this.#drives.read(drive, target.subarray(0, length), Number(position));
    return length;
  }

  write(handle: HostHandle, bytes: Uint8Array, position: bigint): number {
    if (isFile(handle)) return this.#files.write(handle, bytes, position);
    const { drive, append, sync } = openDrive(handle);
    // Behind the end there is no room, and that is where an append goes.
    const length = append ? 0 : this.#room(drive, position, bytes.length);
    if (length === 0 && bytes.length > 0) throw new HostError("ENOSPC");
    if (length > 0) this.#drives.write(drive, bytes.subarray(0, length), Number(position));
    if (sync !== "none") this.#drives.sync(drive, sync);
    return length;
  }

  stat(handle: HostHandle): HostFileStat {
    if (handle === DIRECTORY) return this.#directoryStat();
    return isFile(handle) ? this.#files.stat(handle) : this.#driveStat(openDrive(handle).drive);
  }

  setSize(handle: HostHandle, size: bigint): void {
    if (isFile(handle)) this.#files.setSize(handle, size);
    else if (size !== this.stat(handle).size) throw new HostError("EPERM");
  }

  setTimes(handle: HostHandle, accessed: HostTime, modified: HostTime): void {
    if (!isFile(handle)) throw new HostError("EPERM");
    this.#files.setTimes(handle, accessed, modified);
  }

  sync(handle: HostHandle, what: "data" | "all"): void {
    if (isFile(handle)) this.#files.sync(handle, what);
    else if (handle !== DIRECTORY) this.#drives.sync(openDrive(handle).drive, what);
  }

  list(directory: HostHandle): HostDirectoryEntry[] {
    if (directory !== DIRECTORY) return this.#files.list(directory);
    return this.#drives.drives.map(({ id }) => ({ name: id, type: "regular" }));
  }

  statAt(directory: HostHandle, name: string): HostFileStat {
    if (directory !== DIRECTORY) return this.#files.statAt(directory, name);
    return name === "." ? this.#directoryStat() : this.#driveStat(this.#require(name));
  }

  setTimesAt(directory: HostHandle, name: string, accessed: HostTime, modified: HostTime): void {
    if (directory !== DIRECTORY) this.#files.setTimesAt(directory, name, accessed, modified);
    else this.#refuse(name);
  }

  createDirectory(directory: HostHandle, name: string): void {
    if (directory !== DIRECTORY) this.#files.createDirectory(directory, name);
    else throw this.#notMade(name);
  }

  removeDirectory(directory: HostHandle, name: string): void {
    if (directory !== DIRECTORY) this.#files.removeDirectory(directory, name);
    else this.#refuse(name, "ENOTDIR");
  }

  unlink(directory: HostHandle, name: string): void {
    if (directory !== DIRECTORY) this.#files.unlink(directory, name);
    else this.#refuse(name);
  }

  rename(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle, toName: string): void {
    if (this.#hostMoves(fromDirectory, fromName, toDirectory)) {
      this.#files.rename(fromDirectory, fromName, toDirectory, toName);
    }
  }

  link(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle, toName: string): void {
    if (this.#hostMoves(fromDirectory, fromName, toDirectory)) {
      this.#files.link(fromDirectory, fromName, toDirectory, toName);
    }
  }

  symlink(target: string, directory: HostHandle, name: string): void {
    if (directory !== DIRECTORY) this.#files.symlink(target, directory, name);
    else throw this.#notMade(name);
  }

  readLink(directory: HostHandle, name: string): string {
    if (directory !== DIRECTORY) return this.#files.readLink(directory, name);
    return this.#refuse(name, "EINVAL");
  }

  #find(name: string): number {
    return this.#drives.drives.findIndex(({ id }) => id === name);
  }

  /** Errors: ENOENT. */
  #require(name: string): number {
    const drive = this.#find(name);
    if (drive < 0) throw new HostError("ENOENT");
    return drive;
  }

  #refuse(name: string, errno: ErrnoName = "EPERM"): never {
    if (name !== ".") this.#require(name);
    throw new HostError(errno);
  }

  #notMade(name: string): HostError {
    return new HostError(name === "." || this.#find(name) >= 0 ? "EEXIST" : "EPERM");
  }

  /** Whether both names are the host's. Errors: EXDEV when only one of them is, EPERM when none is. */
  #hostMoves(fromDirectory: HostHandle, fromName: string, toDirectory: HostHandle): boolean {
    if (fromDirectory !== DIRECTORY && toDirectory !== DIRECTORY) return true;
    if (fromDirectory === toDirectory) this.#refuse(fromName);
    throw new HostError("EXDEV");
  }

  /** Bytes from `position` to the drive's end, at most `length`. */
  #room(drive: number, position: bigint, length: number): number {
    const left = BigInt(this.#lengthOf(drive)) - position;
    return left <= 0n ? 0 : left < BigInt(length) ? Number(left) : length;
  }

  #lengthOf(drive: number): number {
    const found = this.#drives.drives[drive];
    if (found === undefined) throw new HostError("EBADF");
    return found.length;
  }

  #driveStat(drive: number): HostFileStat {
    const modifiedNs = this.#drives.modifiedNs(drive);
    return {
      type: "regular",
      device: DEVICE,
      inode: DIRECTORY_INODE + 1n + BigInt(drive),
      links: 1n,
      size: BigInt(this.#lengthOf(drive)),
      accessedNs: modifiedNs,
      modifiedNs,
      changedNs: modifiedNs,
    };
  }

  #directoryStat(): HostFileStat {
    const times = { accessedNs: 0n, modifiedNs: 0n, changedNs: 0n };
    return { type: "directory", device: DEVICE, inode: DIRECTORY_INODE, links: 1n, size: 0n, ...times };
  }
}

const isFile = (handle: HostHandle): boolean => handle >= 0;

function handleOf(drive: number, { append, sync }: HostOpenOptions): HostHandle {
  const mode = SYNC_MODES.indexOf(sync) * 2 + Number(append);
  return -(FIRST_FILE + drive * SYNC_MODES.length * 2 + mode);
}

/** Errors: EBADF for the directory. */
function openDrive(handle: HostHandle): OpenDrive {
  const number = -handle - FIRST_FILE;
  if (number < 0) throw new HostError("EBADF");
  const mode = number % (SYNC_MODES.length * 2);
  return {
    drive: Math.floor(number / (SYNC_MODES.length * 2)),
    append: mode % 2 === 1,
    sync: SYNC_MODES[Math.floor(mode / 2)]!,
  };
}
