import { DRIVE_ID, type GuestDrives, MAX_DRIVES } from "@peregrine/machine-wasm";
import { MigrationError } from "@peregrine/protocol";
import type { Drive, DriveAccess } from "@peregrine/shared-state";
import { DriveFile } from "./drive-file.ts";
import type { DriveMemory } from "./drive-memory.ts";
import type { DriveOptions } from "./drive-options.ts";
import { type FileLocks, kernelLocks, NO_LOCKS } from "./file-locks.ts";
import { writeFailed } from "./locked-file.ts";
import { measureDrive } from "./measure-drive.ts";

type State =
  /** The guest is elsewhere; nothing is open but what comes in a stream. */
  | "awaited"
  /** The same, with the locks. */
  | "locked"
  | "held"
  /** The guest stands still, and another host may take the drives. */
  | "released"
  | "closed";

const TRANSFER = new URL("drive-transfer.ts", import.meta.url).href;

/** The drives of a guest as image files of this host. */
export class NodeDrives implements GuestDrives {
  /** In the order of their names, on whatever host. */
  readonly drives: readonly Drive[];
  readonly #files: readonly DriveFile[];
  #state: State = "awaited";

  private constructor(files: readonly DriveFile[]) {
    this.#files = files;
    this.drives = files.map(({ memory: { id, length } }) => ({ id, length }));
  }

  /**
   * The drives of a guest that is started here. Overlays that are missing or empty are made.
   * Errors: NO_SUCH_FILE, BAD_DRIVE, DRIVE_LOCKED, NO_DRIVE_LOCKS, BAD_PARAMETER.
   */
  static async open(options: readonly DriveOptions[]): Promise<NodeDrives> {
    const drives = await NodeDrives.awaited(options);
    try {
      for (const file of drives.#files) await file.create();
    } catch (error) {
      drives.#closeFiles();
      throw error;
    }
    drives.#state = "held";
    return drives;
  }

  /** The drives of a guest that is to arrive. Nothing is written or locked. Errors: as {@link open}. */
  static async awaited(options: readonly DriveOptions[]): Promise<NodeDrives> {
    checkOptions(options);
    const sorted = [...options].sort((a, b) => (a.id < b.id ? -1 : 1));
    const locks = options.some(({ lock }) => lock) ? await kernelLocks() : NO_LOCKS;
    const locksOf = ({ lock }: DriveOptions): FileLocks => (lock ? locks : NO_LOCKS);
    const files = sorted.map((drive) => new DriveFile(measureDrive(drive), locksOf(drive)));
    for (const file of files) file.removeLeftover();
    return new NodeDrives(files);
  }

  /** For the guest's threads. */
  get memories(): readonly DriveMemory[] {
    return this.#files.map(({ memory }) => memory);
  }

  outgoing(): DriveAccess {
    for (const { contents } of this.#files) contents.clearMarks();
    return { module: TRANSFER, data: this.memories };
  }

  incoming(): DriveAccess {
    this.#require("awaited");
    try {
      return { module: TRANSFER, data: this.#files.map((file) => file.stage()) };
    } catch (error) {
      for (const file of this.#files) file.unstage();
      throw error;
    }
  }

  async release(): Promise<void> {
    if (this.#state === "released") return;
    this.#require("held");
    await this.#flush();
    for (const file of this.#files) file.unlock();
    this.#state = "released";
  }

  /** What another host may have written meanwhile is seen. Errors: DRIVE_LOCKED; WRONG_STATE for drives that were never held. */
  reclaim(): Promise<void> {
    return attempt(() => {
      if (this.#state === "held") return;
      this.#require("released");
      for (const [index, file] of this.#files.entries()) {
        try {
          file.relock();
        } catch (error) {
          for (const locked of this.#files.slice(0, index)) locked.unlock();
          throw error;
        }
      }
      for (const file of this.#files) file.publish();
      this.#state = "held";
    });
  }

  /** Errors: also BAD_DRIVE, for files that have changed since the guest was awaited. */
  lock(): Promise<void> {
    return attempt(() => {
      if (this.#state === "locked") return;
      this.#require("awaited");
      try {
        for (const file of this.#files) file.open();
      } catch (error) {
        this.#closeFiles();
        throw error;
      }
      this.#state = "locked";
    });
  }

  unlock(): Promise<void> {
    return attempt(() => {
      if (this.#state !== "locked") return;
      this.#closeFiles();
      this.#state = "awaited";
    });
  }

  async takeOver(): Promise<void> {
    if (this.#state === "held") return;
    await this.lock();
    for (const file of this.#files) await file.place();
    this.#state = "held";
  }

  discard(): Promise<void> {
    return attempt(() => {
      if (this.#state !== "awaited" && this.#state !== "locked") return;
      for (const file of this.#files) file.unstage();
      this.#closeFiles();
      this.#state = "awaited";
    });
  }

  async dispose(): Promise<void> {
    await this.discard();
    try {
      // What was released may be another host's by now.
      if (this.#state === "held") await this.#flush();
    } finally {
      this.#state = "closed";
      this.#closeFiles();
    }
  }

  async #flush(): Promise<void> {
    try {
      for (const { contents } of this.#files) await contents.flush();
    } catch (error) {
      throw writeFailed("The guest's drives could not be written back", error);
    }
  }

  #closeFiles(): void {
    for (const file of this.#files) file.close();
  }

  #require(state: State): void {
    if (this.#state === state) return;
    const message = `This cannot be done while the guest's drives are ${this.#state}`;
    throw new MigrationError("WRONG_STATE", message);
  }
}

/** Errors: BAD_PARAMETER. */
function checkOptions(options: readonly DriveOptions[]): void {
  if (options.length > MAX_DRIVES)
    throw new MigrationError(
      "BAD_PARAMETER",
      `A guest has at most ${MAX_DRIVES} drives, not ${options.length}`,
    );
  for (const [index, { id, file }] of options.entries()) {
    if (options.some(({ backing }) => backing === file))
      throw new MigrationError(
        "BAD_PARAMETER",
        `'${file}' is a backing file, which is never written, and cannot be drive '${id}'`,
      );
    if (!DRIVE_ID.test(id))
      throw new MigrationError("BAD_PARAMETER", `'${id}' cannot be the name of a drive`);
    const before = options.slice(0, index);
    if (before.some((other) => other.id === id))
      throw new MigrationError("BAD_PARAMETER", `Two drives are named '${id}'; give each a name of its own`);
    if (before.some((other) => other.file === file))
      throw new MigrationError(
        "BAD_PARAMETER",
        `Two drives have the file '${file}'; give each a file of its own`,
      );
  }
}

function attempt(step: () => void): Promise<void> {
  return Promise.resolve().then(step);
}
