import { ALL_FD_FLAGS, ALL_OPEN_FLAGS, OpenFlag } from "./abi.ts";
import type { OpenDescriptor, OpenDirectory } from "./descriptors.ts";
import { HostError } from "./errno.ts";
import type { HostFiles, HostFileType } from "./host.ts";
import { openOptions } from "./open-files.ts";
import { statIfThere } from "./path.ts";
import type { ResolvedPath } from "./path.ts";
import { DIRECTORY_RIGHTS, FILE_RIGHTS, Right, WRITE_ACCESS } from "./rights.ts";

/** What `path_open` was asked for, apart from the place. */
export interface OpenRequest {
  /** `oflags` */
  readonly openFlags: number;
  readonly rights: number;
  readonly inheritingRights: number;
  /** `fdflags` */
  readonly flags: number;
}

/**
 * Checks a request against the directory it is made on, before any path is looked at.
 * Errors: EINVAL for unknown flags; ENOTCAPABLE for more rights than the directory passes on; EPERM
 * for truncating without the right to it.
 */
export function checkOpenRequest(directory: OpenDirectory, request: OpenRequest): void {
  const { openFlags, rights, inheritingRights, flags } = request;
  if ((openFlags & ~ALL_OPEN_FLAGS) !== 0 || (flags & ~ALL_FD_FLAGS) !== 0) throw new HostError("EINVAL");
  if ((openFlags & OpenFlag.create) !== 0 && (openFlags & OpenFlag.directory) !== 0)
    throw new HostError("EINVAL");
  // Rights that no file can have are not asked for in earnest: callers that want all set every bit.
  const wanted = (rights | inheritingRights) & (FILE_RIGHTS | DIRECTORY_RIGHTS);
  if ((wanted & ~directory.inheritingRights) !== 0) throw new HostError("ENOTCAPABLE");
  const missing = ~directory.rights;
  if ((openFlags & OpenFlag.create) !== 0 && (missing & Right.pathCreateFile) !== 0)
    throw new HostError("ENOTCAPABLE");
  if ((openFlags & OpenFlag.truncate) !== 0 && (missing & Right.pathFilestatSetSize) !== 0)
    throw new HostError("EPERM");
}

/** Opens what is at `place`, or creates it. */
export function openAt(
  files: HostFiles,
  root: number,
  place: ResolvedPath,
  request: OpenRequest,
): OpenDescriptor {
  const stat = place.stat ?? statIfThere(files, place.directory, place.name);
  const create = (request.openFlags & OpenFlag.create) !== 0;
  const exclusive = create && (request.openFlags & OpenFlag.exclusive) !== 0;
  if (stat === undefined && !create) throw new HostError("ENOENT");
  if (stat !== undefined && exclusive) throw new HostError("EEXIST");
  const wantsDirectory = place.mustBeDirectory || (request.openFlags & OpenFlag.directory) !== 0;
  if (stat?.type === "directory") return openDirectoryAt(files, root, place, request);
  if (stat === undefined && wantsDirectory) throw new HostError("EISDIR");
  if (wantsDirectory) throw new HostError("ENOTDIR");
  if (stat?.type === "symlink") throw new HostError("ELOOP");
  if (stat !== undefined) refuseSpecial(stat.type);

  const read = (request.rights & Right.fdRead) !== 0;
  const write = (request.rights & WRITE_ACCESS) !== 0;
  const handle = files.openFile(place.directory, place.name, {
    ...openOptions({ read, write }, request.flags),
    create,
    exclusive,
    truncate: (request.openFlags & OpenFlag.truncate) !== 0,
  });
  return {
    kind: "file",
    handle,
    root,
    path: place.path,
    // The host opens a file for reading when neither is asked for; the rights keep the guest from it.
    read: read || !write,
    write,
    position: 0n,
    rights: request.rights & FILE_RIGHTS,
    inheritingRights: request.inheritingRights & FILE_RIGHTS,
    flags: request.flags,
  };
}

/**
 * Of a device or pipe already the opening does something: it starts a watchdog, rewinds a tape, ends somebody's wait. One
 * that takes the name's place afterwards is found when it is open.
 */
export function refuseSpecial(type: HostFileType): void {
  if (type !== "regular" && type !== "directory" && type !== "symlink") throw new HostError("ENOTSUP");
}

function openDirectoryAt(
  files: HostFiles,
  root: number,
  place: ResolvedPath,
  request: OpenRequest,
): OpenDescriptor {
  const asDirectory = (request.openFlags & OpenFlag.directory) !== 0;
  const changes = (request.openFlags & (OpenFlag.create | OpenFlag.truncate)) !== 0;
  if (changes || (!asDirectory && (request.rights & WRITE_ACCESS) !== 0)) throw new HostError("EISDIR");
  return {
    kind: "directory",
    handle: files.openDirectory(place.directory, place.name),
    root,
    path: place.path,
    preopened: false,
    listing: undefined,
    rights: request.rights & DIRECTORY_RIGHTS,
    inheritingRights: request.inheritingRights & (FILE_RIGHTS | DIRECTORY_RIGHTS),
    flags: request.flags,
  };
}
