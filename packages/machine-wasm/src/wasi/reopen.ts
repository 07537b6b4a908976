import { MigrationError } from "@peregrine/protocol/errors";
import { DescriptorTable } from "./descriptors.ts";
import type { OpenDescriptor } from "./descriptors.ts";
import type { Root } from "./context.ts";
import { HostError } from "./errno.ts";
import type { HostFiles, HostHandle, HostOpenOptions } from "./host.ts";
import { closeDescriptor, openOptions } from "./open-files.ts";
import { refuseSpecial } from "./path-open.ts";
import { joinPath, resolvePath } from "./path.ts";
import type {
  DescriptorState,
  DirectoryDescriptorState,
  FileDescriptorState,
  Preopen,
  WasiState,
} from "./state.ts";

/**
 * Where a directory that arrived with a guest is on this host; undefined refuses it.
 * Without one, it is taken to be at the same path as at the source.
 */
export type ResolvePreopen = (preopen: Preopen) => string | undefined;

/** Everything that a guest has open. */
export interface OpenFiles {
  readonly roots: readonly Root[];
  readonly table: DescriptorTable;
}

/**
 * Handles of another thread of this process that had the guest. The same files are opened from them, so that
 * the guest keeps one that was deleted meanwhile.
 */
export interface HeldFiles {
  readonly roots: readonly HostHandle[];
  /** By the guest's descriptor. */
  readonly descriptors: ReadonlyMap<number, HostHandle>;
}

export function closeAll(files: HostFiles, open: OpenFiles): void {
  for (const [fd] of open.table.entries()) closeDescriptor(files, open.table.remove(fd));
  for (const root of open.roots) files.close(root.handle);
}

/**
 * Opens again everything that a guest had open: from `held` where that can be done, by path otherwise. A file is never
 * created or truncated.
 * Errors: DEVICE_STATE listing everything that cannot be opened; nothing stays open then.
 */
export function reopenAll(
  state: WasiState,
  files: HostFiles,
  resolvePreopen?: ResolvePreopen,
  held?: HeldFiles,
): OpenFiles {
  const problems: string[] = [];
  const roots: (Root | undefined)[] = [];
  const table = new DescriptorTable();
  try {
    for (const [index, preopen] of state.preopens.entries()) {
      const handle = reopenHeld(files, held?.roots[index], DIRECTORY_OPTIONS);
      roots.push(
        handle === undefined
          ? openRoot(files, preopen, resolvePreopen, problems)
          : { guestPath: preopen.guestPath, hostPath: preopen.hostPath, handle },
      );
    }
    for (const descriptor of state.descriptors) {
      const open = reopen(files, descriptor, roots, problems, held?.descriptors.get(descriptor.fd));
      if (open !== undefined) table.place(descriptor.fd, open);
    }
    if (problems.length > 0) {
      throw new MigrationError(
        "DEVICE_STATE",
        `the guest's files are not as they were at the source: ${problems.join("; ")}; ` +
          "make the same files available here under the same paths and migrate again",
        { section: "wasi" },
      );
    }
    return { roots: roots.filter((root) => root !== undefined), table };
  } catch (error) {
    closeAll(files, { roots: roots.filter((root) => root !== undefined), table });
    throw error;
  }
}

function openRoot(
  files: HostFiles,
  preopen: Preopen,
  resolvePreopen: ResolvePreopen | undefined,
  problems: string[],
): Root | undefined {
  const hostPath = resolvePreopen === undefined ? preopen.hostPath : resolvePreopen(preopen);
  if (hostPath === undefined) {
    problems.push(
      `directory ${preopen.guestPath} (${preopen.hostPath} at the source) is not allowed here: ` +
        `give --dir HOST::${preopen.guestPath}, or --source-dirs for all as at the source`,
    );
    return undefined;
  }
  try {
    return { guestPath: preopen.guestPath, hostPath, handle: files.openRoot(hostPath) };
  } catch (error) {
    problems.push(`directory ${preopen.guestPath} (${hostPath} here) ${reason(error)}`);
    return undefined;
  }
}

/** Undefined when it cannot be opened; why is in `problems`, once for a directory with all that is below it. */
function reopen(
  files: HostFiles,
  state: DescriptorState,
  roots: readonly (Root | undefined)[],
  problems: string[],
  held: HostHandle | undefined,
): OpenDescriptor | undefined {
  const { fd: _fd, ...common } = state;
  if (common.kind === "console") return { ...common };
  const root = roots[common.root];
  if (root === undefined) return undefined;
  const options = common.kind === "file" ? openOptions(common, common.flags) : DIRECTORY_OPTIONS;
  const handle = reopenHeld(files, held, options);
  if (handle !== undefined) {
    const { gone: _gone, ...open } = common;
    if (open.kind === "directory") return { ...open, handle, listing: undefined };
    const { size: _size, ...file } = open;
    return { ...file, handle };
  }
  const where = `descriptor ${state.fd}, ${describePlace(root, common.path)},`;
  if (common.gone) {
    problems.push(`${where} was deleted or replaced at the source while the guest had it open`);
    return undefined;
  }
  try {
    return common.kind === "directory"
      ? reopenDirectory(files, root, common)
      : reopenFile(files, root, common, where, problems);
  } catch (error) {
    problems.push(`${where} ${reason(error)}`);
    return undefined;
  }
}

const DIRECTORY_OPTIONS = openOptions({ read: true, write: false }, 0);

/** Undefined when there is nothing to open it from, or this host cannot. */
function reopenHeld(
  files: HostFiles,
  held: HostHandle | undefined,
  options: HostOpenOptions,
): HostHandle | undefined {
  if (held === undefined) return undefined;
  try {
    return files.reopen(held, options);
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}

function reopenDirectory(
  files: HostFiles,
  root: Root,
  state: Omit<DirectoryDescriptorState, "fd">,
): OpenDescriptor {
  const { gone: _gone, ...common } = state;
  return { ...common, handle: openDirectoryBelow(files, root.handle, state.path), listing: undefined };
}

function reopenFile(
  files: HostFiles,
  root: Root,
  state: Omit<FileDescriptorState, "fd">,
  where: string,
  problems: string[],
): OpenDescriptor | undefined {
  const { gone: _gone, size, ...common } = state;
  using place = resolvePath(files, { handle: root.handle, path: "" }, state.path, "name");
  refuseSpecial(files.statAt(place.directory, place.name).type);
  const handle = files.openFile(place.directory, place.name, openOptions(state, state.flags));
  const present = files.stat(handle).size;
  if (present < size) {
    files.close(handle);
    problems.push(`${where} has ${present} bytes here and had ${size} at the source`);
    return undefined;
  }
  return { ...common, handle };
}

function openDirectoryBelow(files: HostFiles, root: HostHandle, path: string): HostHandle {
  using place = resolvePath(files, { handle: root, path: "" }, path === "" ? "." : path, "name");
  return files.openDirectory(place.directory, place.name);
}

/**
 * True when the name by which a descriptor would be opened again no longer means what it has open.
 * Device and inode decide, so a deletion is seen also when another process made it.
 */
export function isGone(files: HostFiles, open: OpenFiles, descriptor: OpenDescriptor): boolean {
  if (descriptor.kind === "console") return false;
  const root = open.roots[descriptor.root];
  if (root === undefined) return true;
  try {
    const path = descriptor.path === "" ? "." : descriptor.path;
    using place = resolvePath(files, { handle: root.handle, path: "" }, path, "name");
    const named = files.statAt(place.directory, place.name);
    const held = files.stat(descriptor.handle);
    return named.device !== held.device || named.inode !== held.inode;
  } catch (error) {
    if (error instanceof HostError) return true;
    throw error;
  }
}

/** A place as a person knows it: by the guest's path and by the host's. */
export function describePlace(root: Preopen, path: string): string {
  return `${joinBelow(root.guestPath, path)} (${joinBelow(root.hostPath, path)} on the host)`;
}

function joinBelow(base: string, path: string): string {
  return base === "/" ? `/${path}` : joinPath(base, path);
}

const REASONS: Readonly<Partial<Record<string, string>>> = {
  ENOENT: "does not exist",
  ENOTDIR: "is not a directory",
  EISDIR: "is a directory and was a file at the source",
  ELOOP: "is a symbolic link and was none at the source",
  EACCES: "may not be opened (permission denied)",
  EROFS: "cannot be written (read-only file system)",
  EMFILE: "cannot be opened (too many open files)",
  ENOTSUP:
    "is a device, pipe or socket, or this host cannot keep a guest in a directory: that takes Linux with /proc",
};

/** The rest of a sentence whose subject is a file. Anything but a HostError is thrown on. */
export function reason(error: unknown): string {
  if (!(error instanceof HostError)) throw error;
  return REASONS[error.errno] ?? `cannot be opened (${error.errno})`;
}
