import { HostError } from "./errno.ts";
import type { ConsoleStream, HostDirectoryEntry, HostHandle } from "./host.ts";
import { WASI_LIMITS } from "./state.ts";

interface OpenBase {
  rights: number;
  inheritingRights: number;
  /** `fdflags` */
  flags: number;
}

export interface OpenConsole extends OpenBase {
  readonly kind: "console";
  readonly stream: ConsoleStream;
}

/** A directory entry with the cookie that continues a listing behind it. */
export interface ListedEntry extends HostDirectoryEntry {
  readonly cookie: number;
}

export interface OpenDirectory extends OpenBase {
  readonly kind: "directory";
  readonly handle: HostHandle;
  root: number;
  /** From the root, without `.`, `..` and links; `""` for the root itself. */
  path: string;
  readonly preopened: boolean;
  /** Kept while a listing goes on, made again when it is missing. */
  listing: readonly ListedEntry[] | undefined;
}

export interface OpenFile extends OpenBase {
  readonly kind: "file";
  handle: HostHandle;
  root: number;
  path: string;
  /** How the host's file is open, whatever became of the rights. */
  readonly read: boolean;
  readonly write: boolean;
  position: bigint;
}

export type OpenDescriptor = OpenConsole | OpenDirectory | OpenFile;

/** The guest's descriptors by number. A new one takes the lowest free number. */
export class DescriptorTable {
  readonly #slots: (OpenDescriptor | undefined)[] = [];

  /** Errors: EBADF. */
  get(fd: number): OpenDescriptor {
    const descriptor = this.#slots[fd];
    if (descriptor === undefined) throw new HostError("EBADF");
    return descriptor;
  }

  /** Errors: EBADF, ENOTCAPABLE. */
  with(fd: number, rights: number): OpenDescriptor {
    return requireRights(this.get(fd), rights);
  }

  /** Errors: EBADF, also for a directory; ESPIPE for the console; ENOTCAPABLE. */
  file(fd: number, rights: number): OpenFile {
    const descriptor = this.get(fd);
    if (descriptor.kind === "console") throw new HostError("ESPIPE");
    if (descriptor.kind === "directory") throw new HostError("EBADF");
    return requireRights(descriptor, rights);
  }

  /** Errors: EBADF, ENOTDIR, ENOTCAPABLE. */
  directory(fd: number, rights: number): OpenDirectory {
    const descriptor = this.get(fd);
    if (descriptor.kind !== "directory") throw new HostError("ENOTDIR");
    return requireRights(descriptor, rights);
  }

  /** Errors: EMFILE when the table is full. Asked before a file is opened, so that nothing has to be undone. */
  checkRoom(): void {
    this.#lowestFree();
  }

  insert(descriptor: OpenDescriptor): number {
    const fd = this.#lowestFree();
    this.#slots[fd] = descriptor;
    return fd;
  }

  /** Puts a descriptor at a number of its own, for restoring. */
  place(fd: number, descriptor: OpenDescriptor): void {
    // No holes: the search for a free number does not see them.
    while (this.#slots.length < fd) this.#slots.push(undefined);
    this.#slots[fd] = descriptor;
  }

  /** Takes a descriptor out of the table; the caller closes it. */
  remove(fd: number): OpenDescriptor {
    const descriptor = this.get(fd);
    this.#slots[fd] = undefined;
    return descriptor;
  }

  *entries(): IterableIterator<[number, OpenDescriptor]> {
    for (const [fd, descriptor] of this.#slots.entries()) {
      if (descriptor !== undefined) yield [fd, descriptor];
    }
  }

  #lowestFree(): number {
    let fd = this.#slots.indexOf(undefined);
    if (fd < 0) fd = this.#slots.length;
    if (fd >= WASI_LIMITS.descriptors) throw new HostError("EMFILE");
    return fd;
  }
}

/** Errors: ENOTCAPABLE. */
export function requireRights<T extends OpenDescriptor>(descriptor: T, rights: number): T {
  if ((descriptor.rights & rights) !== rights) throw new HostError("ENOTCAPABLE");
  return descriptor;
}
