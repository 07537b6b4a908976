import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { IncomingDrives, OutgoingDrives } from "@peregrine/shared-state";
import { onTestFinished } from "vitest";
import { DriveContents } from "../src/drives/drive-contents.ts";
import type { DriveOptions } from "../src/drives/drive-options.ts";
import { openIncomingDrives, openOutgoingDrives } from "../src/drives/drive-transfer.ts";
import { NodeDrives } from "../src/drives/node-drives.ts";

/** A directory for image files, removed after the test. */
export class ImageDirectory {
  readonly path = mkdtempSync(join(tmpdir(), "peregrine-drives-"));

  constructor() {
    onTestFinished(() => rmSync(this.path, { recursive: true, force: true }));
  }

  file(name: string): string {
    return join(this.path, name);
  }

  /** Makes a file. @returns its path. */
  make(name: string, bytes: Uint8Array): string {
    writeFileSync(this.file(name), bytes);
    return this.file(name);
  }
}

export function drive(file: string, given: Partial<DriveOptions> = {}): DriveOptions {
  return { id: "disk", file, backing: undefined, lock: true, ...given };
}

/** Drives of a guest that runs here. Given up after the test. */
export async function held(...options: readonly DriveOptions[]): Promise<NodeDrives> {
  const drives = await NodeDrives.open(options);
  onTestFinished(() => drives.dispose());
  return drives;
}

/** Drives of a guest that is to arrive. Given up after the test. */
export async function awaited(...options: readonly DriveOptions[]): Promise<NodeDrives> {
  const drives = await NodeDrives.awaited(options);
  onTestFinished(() => drives.dispose());
  return drives;
}

/** The contents of a drive as the guest's thread sees them. */
export function contentsOf(drives: NodeDrives, index = 0): DriveContents {
  return new DriveContents(drives.memories[index]!);
}

/** All bytes of a drive. */
export function bytesOf(drives: NodeDrives, index = 0): Uint8Array {
  const contents = contentsOf(drives, index);
  const bytes = new Uint8Array(contents.length);
  contents.read(bytes, 0);
  return bytes;
}

/** As a migration thread opens them: what it gets is copied between threads. */
export function outgoing(drives: NodeDrives): Promise<OutgoingDrives> {
  return openOutgoingDrives(structuredClone(drives.outgoing().data));
}

export function incoming(drives: NodeDrives): Promise<IncomingDrives> {
  return openIncomingDrives(structuredClone(drives.incoming().data));
}
