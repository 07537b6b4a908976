import { HostError } from "./errno.ts";
import type { HostFiles, HostFileStat, HostHandle } from "./host.ts";
import { WASI_LIMITS } from "./state.ts";

/** Most symbolic links in one resolution, as Linux has it. */
const MAX_LINKS = 40;

const encoder = new TextEncoder();

/** Where a resolution starts, and below which it must stay. */
export interface PathStart {
  readonly handle: HostHandle;
  /** Its own path from the root. */
  readonly path: string;
}

/**
 * What to do when the last component is a symbolic link:
 * `target` follows it, `entry` follows it only if a slash comes after it, `name` never follows it.
 */
export type LastComponent = "target" | "entry" | "name";

/** A place in a directory. The name may not exist. Dispose it to close what the walk opened. */
export interface ResolvedPath extends Disposable {
  readonly directory: HostHandle;
  /** One component, or `.` for the directory itself. */
  readonly name: string;
  /** From the root, without `.`, `..` and links. */
  readonly path: string;
  /** The path ended in a slash or in a dot component. */
  readonly mustBeDirectory: boolean;
  /** What `name` is, as far as the walk had to look; undefined also when it does not exist. */
  readonly stat: HostFileStat | undefined;
}

/**
 * Resolves a guest path one component at a time, each relative to an open directory, so that
 * nothing outside of `start` can be reached: not by `..`, not by an absolute path, not by a link,
 * and not by a directory that is swapped for a link meanwhile.
 *
 * Errors: EPERM for a way out; ENOENT, ENOTDIR, ELOOP, ENAMETOOLONG, EINVAL as in POSIX.
 */
export function resolvePath(
  files: HostFiles,
  start: PathStart,
  path: string,
  last: LastComponent,
): ResolvedPath {
  const opened: HostHandle[] = [];
  const names: string[] = [];
  const close = (): void => {
    for (const handle of opened) files.close(handle);
  };
  const here = (): HostHandle => opened.at(-1) ?? start.handle;
  try {
    let mustBeDirectory = false;
    let links = 0;
    /** Components still to walk, the next one at the end. */
    const pending: string[] = [];
    const push = (text: string): void => {
      checkPath(text);
      const parts = text.split("/");
      // The end of a link's target matters only when the link was the last component.
      if (pending.length === 0 && isDirectoryForm(parts.at(-1))) mustBeDirectory = true;
      pending.push(...parts.filter((part) => part !== "" && part !== ".").reverse());
    };
    const done = (name: string, stat: HostFileStat | undefined): ResolvedPath => {
      const full = joinPath(start.path, ...names, ...(name === "." ? [] : [name]));
      if (encoder.encode(full).length > WASI_LIMITS.pathBytes) throw new HostError("ENAMETOOLONG");
      return { directory: here(), name, path: full, mustBeDirectory, stat, [Symbol.dispose]: close };
    };

    push(path);
    for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
      if (name === "..") {
        const handle = opened.pop();
        if (handle === undefined) throw new HostError("EPERM");
        names.pop();
        files.close(handle);
        continue;
      }
      const isLast = pending.length === 0;
      if (isLast && (last === "name" || (last === "entry" && !mustBeDirectory))) return done(name, undefined);
      const stat = isLast ? statIfThere(files, here(), name) : undefined;
      if (isLast && stat?.type !== "symlink") return done(name, stat);
      if (!isLast) {
        const handle = openDirectoryOrLink(files, here(), name);
        if (handle !== undefined) {
          opened.push(handle);
          names.push(name);
          continue;
        }
      }
      links += 1;
      if (links > MAX_LINKS) throw new HostError("ELOOP");
      push(files.readLink(here(), name));
    }
    mustBeDirectory = true;
    return done(".", undefined);
  } catch (error) {
    close();
    throw error;
  }
}

/** Errors as in {@link resolvePath}, for a text that names no file yet. */
export function checkPath(path: string): void {
  if (path === "") throw new HostError("ENOENT");
  if (path.includes("\0")) throw new HostError("EINVAL");
  if (path.startsWith("/")) throw new HostError("EPERM");
  if (encoder.encode(path).length > WASI_LIMITS.pathBytes) throw new HostError("ENAMETOOLONG");
}

export function statIfThere(files: HostFiles, directory: HostHandle, name: string): HostFileStat | undefined {
  try {
    return files.statAt(directory, name);
  } catch (error) {
    if (error instanceof HostError && error.errno === "ENOENT") return undefined;
    throw error;
  }
}

export function joinPath(...parts: readonly string[]): string {
  return parts.filter((part) => part !== "").join("/");
}

/** Undefined when `name` is a symbolic link. */
function openDirectoryOrLink(files: HostFiles, directory: HostHandle, name: string): HostHandle | undefined {
  try {
    return files.openDirectory(directory, name);
  } catch (error) {
    if (!(error instanceof HostError) || error.errno !== "ENOTDIR") throw error;
    if (files.statAt(directory, name).type !== "symlink") throw error;
    return undefined;
  }
}

function isDirectoryForm(component: string | undefined): boolean {
  return component === "" || component === "." || component === "..";
}
