import { LOOKUP_SYMLINK_FOLLOW, OpenFlag, Size } from "../abi.ts";
import type { HostCalls, WasiContext } from "../context.ts";
import { encodeEntries, listFrom } from "../directory-listing.ts";
import { HostError } from "../errno.ts";
import { timesToSet, writeFileStat } from "../file-stat.ts";
import { checkOpenRequest, openAt } from "../path-open.ts";
import { checkPath, resolvePath, statIfThere } from "../path.ts";
import type { LastComponent, ResolvedPath } from "../path.ts";
import { moveOpenPaths } from "../open-files.ts";
import { Right, rightsFromGuest } from "../rights.ts";

const encoder = new TextEncoder();

/** Calls that name a file by its path, and the listing of directories. */
export function pathCalls(context: WasiContext): HostCalls {
  const { memory, files, table } = context;

  const resolve = (
    fd: number,
    right: number,
    pathAt: number,
    length: number,
    last: LastComponent,
  ): ResolvedPath => {
    const start = table.directory(fd, right);
    return resolvePath(files, start, memory.path(pathAt, length), last);
  };

  return {
    path_open(
      fd: number,
      lookupFlags: number,
      pathAt: number,
      length: number,
      openFlags: number,
      rightsMask: bigint,
      inheritingMask: bigint,
      flags: number,
      openedAt: number,
    ) {
      const start = table.directory(fd, Right.pathOpen);
      const request = {
        openFlags,
        rights: rightsFromGuest(rightsMask),
        inheritingRights: rightsFromGuest(inheritingMask),
        flags,
      };
      checkOpenRequest(start, request);
      memory.check(openedAt, 4);
      table.checkRoom();
      // POSIX: an exclusive creation does not follow a link, it fails on it.
      const exclusive = (openFlags & OpenFlag.create) !== 0 && (openFlags & OpenFlag.exclusive) !== 0;
      const last = exclusive ? "name" : lastFor(lookupFlags);
      using place = resolvePath(files, start, memory.path(pathAt, length), last);
      memory.writeU32(openedAt, table.insert(openAt(files, start.root, place, request)));
    },
    path_filestat_get(fd: number, lookupFlags: number, pathAt: number, length: number, filestatAt: number) {
      memory.check(filestatAt, Size.filestat);
      using place = resolve(fd, Right.pathFilestatGet, pathAt, length, lastFor(lookupFlags));
      const stat = place.stat ?? files.statAt(place.directory, place.name);
      if (place.mustBeDirectory && stat.type !== "directory") throw new HostError("ENOTDIR");
      writeFileStat(memory, filestatAt, stat);
    },
    path_filestat_set_times(
      fd: number,
      lookupFlags: number,
      pathAt: number,
      length: number,
      accessedNs: bigint,
      modifiedNs: bigint,
      flags: number,
    ) {
      const { accessed, modified } = timesToSet(accessedNs, modifiedNs, flags);
      using place = resolve(fd, Right.pathFilestatSetTimes, pathAt, length, lastFor(lookupFlags));
      requireDirectoryForm(context, place);
      files.setTimesAt(place.directory, place.name, accessed, modified);
    },
    path_create_directory(fd: number, pathAt: number, length: number) {
      using place = resolve(fd, Right.pathCreateDirectory, pathAt, length, "name");
      files.createDirectory(place.directory, place.name);
    },
    path_remove_directory(fd: number, pathAt: number, length: number) {
      using place = resolve(fd, Right.pathRemoveDirectory, pathAt, length, "name");
      files.removeDirectory(place.directory, place.name);
    },
    path_unlink_file(fd: number, pathAt: number, length: number) {
      using place = resolve(fd, Right.pathUnlinkFile, pathAt, length, "name");
      requireDirectoryForm(context, place);
      files.unlink(place.directory, place.name);
    },
    path_rename(
      fromFd: number,
      fromAt: number,
      fromLength: number,
      toFd: number,
      toAt: number,
      toLength: number,
    ) {
      const fromRoot = table.directory(fromFd, Right.pathRenameSource).root;
      const toRoot = table.directory(toFd, Right.pathRenameTarget).root;
      using from = resolve(fromFd, Right.pathRenameSource, fromAt, fromLength, "name");
      using to = resolve(toFd, Right.pathRenameTarget, toAt, toLength, "name");
      requireDirectoryForm(context, from);
      if (to.mustBeDirectory && files.statAt(from.directory, from.name).type !== "directory") {
        throw new HostError("ENOTDIR");
      }
      files.rename(from.directory, from.name, to.directory, to.name);
      moveOpenPaths(table, { root: fromRoot, path: from.path }, { root: toRoot, path: to.path });
    },
    path_link(
      fromFd: number,
      lookupFlags: number,
      fromAt: number,
      fromLength: number,
      toFd: number,
      toAt: number,
      toLength: number,
    ) {
      const last = lastFor(lookupFlags) === "target" ? "target" : "name";
      using from = resolve(fromFd, Right.pathLinkSource, fromAt, fromLength, last);
      using to = resolve(toFd, Right.pathLinkTarget, toAt, toLength, "name");
      requireDirectoryForm(context, from);
      refuseDirectoryForm(context, to);
      files.link(from.directory, from.name, to.directory, to.name);
    },
    path_symlink(targetAt: number, targetLength: number, fd: number, pathAt: number, length: number) {
      const target = memory.path(targetAt, targetLength);
      // An absolute target would mean another file to the guest than to the host.
      checkPath(target);
      using place = resolve(fd, Right.pathSymlink, pathAt, length, "name");
      refuseDirectoryForm(context, place);
      files.symlink(target, place.directory, place.name);
    },
    path_readlink(
      fd: number,
      pathAt: number,
      length: number,
      bufferAt: number,
      bufferLength: number,
      usedAt: number,
    ) {
      memory.check(bufferAt, bufferLength);
      memory.check(usedAt, 4);
      using place = resolve(fd, Right.pathReadlink, pathAt, length, "entry");
      const target = encoder.encode(files.readLink(place.directory, place.name)).subarray(0, bufferLength);
      memory.write(bufferAt, target);
      memory.writeU32(usedAt, target.length);
    },
    fd_readdir(fd: number, bufferAt: number, bufferLength: number, cookie: bigint, usedAt: number) {
      const directory = table.directory(fd, Right.fdReaddir);
      memory.check(bufferAt, bufferLength);
      memory.check(usedAt, 4);
      const entries = listFrom(files, directory, cookie);
      const bytes = encodeEntries(files, directory, entries, bufferLength);
      memory.write(bufferAt, bytes);
      memory.writeU32(usedAt, bytes.length);
    },
  };
}

/** How `lookupflags` treat a link that is the last component. */
function lastFor(lookupFlags: number): LastComponent {
  if ((lookupFlags & ~LOOKUP_SYMLINK_FOLLOW) !== 0) throw new HostError("EINVAL");
  return (lookupFlags & LOOKUP_SYMLINK_FOLLOW) !== 0 ? "target" : "entry";
}

/** A path that ends in a slash names a directory or fails. */
function requireDirectoryForm({ files }: WasiContext, place: ResolvedPath): void {
  if (!place.mustBeDirectory || place.name === ".") return;
  const stat = place.stat ?? files.statAt(place.directory, place.name);
  if (stat.type !== "directory") throw new HostError("ENOTDIR");
}

/** A new name that ends in a slash can only fail; how depends on what is there. */
function refuseDirectoryForm({ files }: WasiContext, place: ResolvedPath): void {
  if (!place.mustBeDirectory) return;
  const stat = statIfThere(files, place.directory, place.name);
  if (stat === undefined) throw new HostError("ENOENT");
  throw new HostError(stat.type === "directory" ? "EEXIST" : "ENOTDIR");
}
