import { FdFlag } from "./abi.ts";
import type { DescriptorTable, OpenDescriptor } from "./descriptors.ts";
import type { HostFiles, HostOpenOptions } from "./host.ts";

/** How a file of the host is opened for a descriptor with these flags. */
export function openOptions(access: { read: boolean; write: boolean }, flags: number): HostOpenOptions {
  return {
    read: access.read,
    write: access.write,
    append: (flags & FdFlag.append) !== 0,
    // rsync asks reads for what sync or dsync ask of writes; where hosts have it, it means sync.
    sync:
      (flags & (FdFlag.sync | FdFlag.rsync)) !== 0 ? "all" : (flags & FdFlag.dsync) !== 0 ? "data" : "none",
    create: false,
    exclusive: false,
    truncate: false,
  };
}

export function closeDescriptor(files: HostFiles, descriptor: OpenDescriptor): void {
  if (descriptor.kind !== "console") files.close(descriptor.handle);
}

/** A place below a preopened directory. */
export interface RootedPath {
  readonly root: number;
  readonly path: string;
}

/** Tells every open descriptor that the guest renamed what it has open, or a directory above it. */
export function moveOpenPaths(table: DescriptorTable, from: RootedPath, to: RootedPath): void {
  for (const [, descriptor] of table.entries()) {
    if (descriptor.kind === "console" || descriptor.root !== from.root) continue;
    const isBelow = descriptor.path.startsWith(`${from.path}/`);
    if (descriptor.path !== from.path && !isBelow) continue;
    descriptor.path = to.path + descriptor.path.slice(from.path.length);
    descriptor.root = to.root;
  }
}
