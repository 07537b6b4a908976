import type { HostDrives, HostFiles } from "@peregrine/machine-wasm";
import { DriveFiles } from "@peregrine/machine-wasm/guest";
import type { Drive } from "@peregrine/shared-state";
import { hostError, NodeFiles } from "../host-files.ts";
import { DriveContents } from "./drive-contents.ts";
import type { DriveMemory } from "./drive-memory.ts";

/** The files of this host for a guest with these drives. */
export function guestFiles(drives: readonly DriveMemory[]): HostFiles {
  const files = new NodeFiles();
  return drives.length === 0 ? files : new DriveFiles(files, new NodeHostDrives(drives));
}

class NodeHostDrives implements HostDrives {
  readonly drives: readonly Drive[];
  readonly #contents: readonly DriveContents[];

  constructor(drives: readonly DriveMemory[]) {
    this.drives = drives;
    this.#contents = drives.map((memory) => new DriveContents(memory));
  }

  read(drive: number, target: Uint8Array, position: number): void {
    attempt(() => this.#contents[drive]!.read(target, position));
  }

  write(drive: number, bytes: Uint8Array, position: number): void {
    attempt(() => this.#contents[drive]!.write(bytes, position));
  }

  sync(drive: number, what: "data" | "all"): void {
    attempt(() => this.#contents[drive]!.sync(what));
  }

  modifiedNs(drive: number): bigint {
    return attempt(() => this.#contents[drive]!.modifiedNs());
  }
}

function attempt<T>(operation: () => T): T {
  try {
    return operation();
  } catch (error) {
    throw hostError(error);
  }
}
