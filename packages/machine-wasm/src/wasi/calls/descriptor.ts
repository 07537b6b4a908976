import { ALL_FD_FLAGS, FdFlag, FileType, MAX_POSITION, Size } from "../abi.ts";
import type { HostCalls, WasiContext } from "../context.ts";
import { requireRights } from "../descriptors.ts";
import type { OpenConsole, OpenDescriptor } from "../descriptors.ts";
import { HostError } from "../errno.ts";
import { timesToSet, writeFileStat } from "../file-stat.ts";
import type { HostFileStat } from "../host.ts";
import { closeDescriptor, openOptions } from "../open-files.ts";
import { Right, rightsFromGuest } from "../rights.ts";

const encoder = new TextEncoder();

/** The highest `advice` number (noreuse). */
const LAST_ADVICE = 5;

/** Flags that mean another way of opening the host's file. */
const REOPEN_FLAGS = FdFlag.append | FdFlag.dsync | FdFlag.rsync | FdFlag.sync;

/** Calls on descriptors as such: their state and that of the file behind them. */
export function descriptorCalls(context: WasiContext): HostCalls {
  const { memory, files, table } = context;

  const consoleType = (descriptor: OpenConsole): number =>
    context.console.isTerminal(descriptor.stream) ? FileType.characterDevice : FileType.unknown;

  const fileType = (descriptor: OpenDescriptor): number => {
    if (descriptor.kind === "console") return consoleType(descriptor);
    return descriptor.kind === "directory" ? FileType.directory : FileType.regularFile;
  };

  const preopenPath = (fd: number): Uint8Array => {
    const descriptor = table.get(fd);
    const root =
      descriptor.kind === "directory" && descriptor.preopened ? context.roots[descriptor.root] : undefined;
    if (root === undefined) throw new HostError("EBADF");
    return encoder.encode(root.guestPath);
  };

  const sync = (fd: number, right: number, what: "data" | "all"): void => {
    // The console cannot be synced and has no right to it: EINVAL, as on POSIX systems.
    const descriptor = table.get(fd);
    if (descriptor.kind === "console") throw new HostError("EINVAL");
    requireRights(descriptor, right);
    files.sync(descriptor.handle, what);
  };

  return {
    fd_close(fd: number) {
      closeDescriptor(files, table.remove(fd));
    },
    fd_renumber(from: number, to: number) {
      table.get(from);
      table.get(to);
      if (from === to) return;
      closeDescriptor(files, table.remove(to));
      table.place(to, table.remove(from));
    },
    fd_prestat_get(fd: number, prestatAt: number) {
      const path = preopenPath(fd);
      memory.check(prestatAt, Size.prestat);
      memory.writeU32(prestatAt, 0);
      memory.writeU32(prestatAt + 4, path.length);
    },
    fd_prestat_dir_name(fd: number, pathAt: number, length: number) {
      const path = preopenPath(fd);
      if (length < path.length) throw new HostError("ENAMETOOLONG");
      memory.write(pathAt, path);
    },
    fd_fdstat_get(fd: number, fdstatAt: number) {
      const descriptor = table.get(fd);
      const bytes = new Uint8Array(Size.fdstat);
      const view = new DataView(bytes.buffer);
      view.setUint8(0, fileType(descriptor));
      view.setUint16(2, descriptor.flags, true);
      view.setBigUint64(8, BigInt(descriptor.rights), true);
      view.setBigUint64(16, BigInt(descriptor.inheritingRights), true);
      memory.write(fdstatAt, bytes);
    },
    fd_fdstat_set_flags(fd: number, flags: number) {
      const descriptor = table.with(fd, Right.fdFdstatSetFlags);
      if ((flags & ~ALL_FD_FLAGS) !== 0) throw new HostError("EINVAL");
      if (descriptor.kind === "file" && ((descriptor.flags ^ flags) & REOPEN_FLAGS) !== 0) {
        const handle = files.reopen(descriptor.handle, openOptions(descriptor, flags));
        files.close(descriptor.handle);
        descriptor.handle = handle;
      }
      descriptor.flags = flags;
    },
    fd_fdstat_set_rights(fd: number, baseMask: bigint, inheritingMask: bigint) {
      const descriptor = table.get(fd);
      const base = rightsFromGuest(baseMask);
      const inheriting = rightsFromGuest(inheritingMask);
      const added = (base & ~descriptor.rights) | (inheriting & ~descriptor.inheritingRights);
      if (added !== 0) throw new HostError("ENOTCAPABLE");
      descriptor.rights = base;
      descriptor.inheritingRights = inheriting;
    },
    fd_filestat_get(fd: number, filestatAt: number) {
      const descriptor = table.with(fd, Right.fdFilestatGet);
      memory.check(filestatAt, Size.filestat);
      if (descriptor.kind !== "console") {
        writeFileStat(memory, filestatAt, files.stat(descriptor.handle));
        return;
      }
      writeFileStat(memory, filestatAt, consoleStat(context.console.isTerminal(descriptor.stream)));
    },
    fd_filestat_set_size(fd: number, size: bigint) {
      const file = table.file(fd, Right.fdFilestatSetSize);
      if (size > MAX_POSITION || !file.write) throw new HostError("EINVAL");
      files.setSize(file.handle, size);
    },
    fd_filestat_set_times(fd: number, accessedNs: bigint, modifiedNs: bigint, flags: number) {
      const descriptor = table.with(fd, Right.fdFilestatSetTimes);
      const { accessed, modified } = timesToSet(accessedNs, modifiedNs, flags);
      if (descriptor.kind === "console") throw new HostError("EBADF");
      files.setTimes(descriptor.handle, accessed, modified);
    },
    fd_allocate(fd: number, offset: bigint, length: bigint) {
      const file = table.file(fd, Right.fdAllocate);
      if (length === 0n || offset + length > MAX_POSITION || !file.write) throw new HostError("EINVAL");
      if (files.stat(file.handle).size < offset + length) files.setSize(file.handle, offset + length);
    },
    fd_advise(fd: number, offset: bigint, length: bigint, advice: number) {
      table.file(fd, Right.fdAdvise);
      if (advice > LAST_ADVICE || offset + length > MAX_POSITION) throw new HostError("EINVAL");
    },
    fd_sync(fd: number) {
      sync(fd, Right.fdSync, "all");
    },
    fd_datasync(fd: number) {
      sync(fd, Right.fdDatasync, "data");
    },
  };
}

function consoleStat(terminal: boolean): HostFileStat {
  return {
    type: terminal ? "character-device" : "other",
    device: 0n,
    inode: 0n,
    links: 0n,
    size: 0n,
    accessedNs: 0n,
    modifiedNs: 0n,
    changedNs: 0n,
  };
}
