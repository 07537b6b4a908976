import fs from "node:fs";
import { MigrationError } from "@peregrine/protocol";
import { ClusterMap } from "./cluster-map.ts";
import { DriveContents } from "./drive-contents.ts";
import { DRIVE_WORD, type DriveMemory, newDriveMemory, NO_FILE } from "./drive-memory.ts";
import type { DriveOptions } from "./drive-options.ts";
import { fsync } from "./file-io.ts";
import type { FileLocks } from "./file-locks.ts";
import { isAt, lockedByOther, openLocked, syncDirectory, writeFailed } from "./locked-file.ts";
import { backingName, imageName, type MeasuredDrive } from "./measure-drive.ts";
import { checkOverlay, overlayLayout, writeHeader } from "./overlay.ts";
import type { StagingData } from "./staged-drive.ts";

const { O_CREAT, O_RDONLY, O_RDWR } = fs.constants;
const NEW_FILE_MODE = 0o666;

/** Undefined while the file is not open. */
type Descriptor = number | undefined;

/** The files of one drive, as the main thread holds them: it opens, locks, replaces and closes them. */
export class DriveFile {
  readonly memory: DriveMemory;
  readonly contents: DriveContents;
  readonly #options: DriveOptions;
  readonly #locks: FileLocks;
  readonly #words: Int32Array;
  #image: Descriptor;
  #backing: Descriptor;
  #staging: Descriptor;

  constructor({ options, length }: MeasuredDrive, locks: FileLocks) {
    this.memory = newDriveMemory({ id: options.id, length }, options.backing !== undefined);
    this.contents = new DriveContents(this.memory);
    this.#options = options;
    this.#locks = locks;
    this.#words = new Int32Array(this.memory.words);
  }

  get #stagingPath(): string {
    return `${this.#options.file}.incoming`;
  }

  /** Whether the staging file is what the drive will be: something came, or there is nothing else. */
  get #replaces(): boolean {
    if (this.#staging === undefined) return false;
    return Atomics.load(this.#words, DRIVE_WORD.received) > 0 || !fs.existsSync(this.#options.file);
  }

  /**
   * Opens and locks the files for a fresh guest; makes an overlay that is missing. Errors: as {@link open}, and
   * WRITE_FAILED.
   */
  async create(): Promise<void> {
    const { backing, file } = this.#options;
    this.#openBacking();
    this.#openImage(backing === undefined ? O_RDWR : O_RDWR | O_CREAT);
    const { length } = this.memory;
    if (backing !== undefined && !checkOverlay(this.#image!, file, { length, backing })) {
      try {
        fs.ftruncateSync(this.#image!, overlayLayout(length).fileBytes);
        writeHeader(this.#image!, { length, backing });
        await fsync(this.#image!);
        await syncDirectory(file);
      } catch (error) {
        throw writeFailed(`${imageName(this.#options)} cannot be made`, error);
      }
    }
    this.publish();
  }

  /**
   * Opens and locks the files as they are. What came in a stream for the drive stays beside them. When it fails, some
   * may be open.
   * Errors: NO_SUCH_FILE, DRIVE_LOCKED, BAD_DRIVE, NO_DRIVE_LOCKS.
   */
  open(): void {
    const { file, backing } = this.#options;
    // A file that is about to be replaced is only locked, so that nobody else is using it.
    const replaces = this.#replaces;
    this.#openBacking();
    if (replaces && !fs.existsSync(file)) return;
    this.#openImage(O_RDWR);
    const { length } = this.memory;
    if (replaces || backing === undefined || checkOverlay(this.#image!, file, { length, backing })) return;
    throw new MigrationError(
      "BAD_DRIVE",
      `${imageName(this.#options)} is empty; put the source's overlay there, or send the drive's contents along`,
    );
  }

  #openImage(flags: number): void {
    const { file, backing } = this.#options;
    const what = imageName(this.#options);
    this.#image = openLocked(file, flags, {
      what,
      kind: "exclusive",
      locks: this.#locks,
      mode: NEW_FILE_MODE,
    });
    if (backing === undefined && !this.#replaces) this.#requireLength(this.#image, what);
  }

  #openBacking(): void {
    const { backing } = this.#options;
    if (backing === undefined) return;
    const what = backingName(this.#options);
    this.#backing = openLocked(backing, O_RDONLY, { what, kind: "shared", locks: this.#locks });
    this.#requireLength(this.#backing, what);
  }

  #requireLength(fd: number, what: string): void {
    const { size } = fs.fstatSync(fd);
    if (size === this.memory.length) return;
    throw new MigrationError(
      "BAD_DRIVE",
      `${what} has ${size} bytes, and the drive has ${this.memory.length}`,
    );
  }

  /** Lets all threads read and write the files that are open, with nothing kept of what was read before. */
  publish(): void {
    const { map, length } = this.memory;
    if (map !== undefined) new ClusterMap(length, map).load(this.#image!, overlayLayout(length).mapAt);
    Atomics.store(this.#words, DRIVE_WORD.backing, this.#backing ?? NO_FILE);
    Atomics.store(this.#words, DRIVE_WORD.image, this.#image!);
  }

  unlock(): void {
    for (const fd of [this.#image, this.#backing]) if (fd !== undefined) this.#locks.unlock(fd);
  }

  /** Locks the files again that are still open. Errors: DRIVE_LOCKED, also when the file was replaced. */
  relock(): void {
    const { file } = this.#options;
    const isOurs =
      this.#locks.lock(this.#image!, "exclusive") &&
      isAt(this.#image!, file) &&
      (this.#backing === undefined || this.#locks.lock(this.#backing, "shared"));
    if (isOurs) return;
    this.unlock();
    throw lockedByOther(imageName(this.#options));
  }

  /** Makes the staging file, or takes it over from an agent that was killed. Errors: DRIVE_LOCKED, WRITE_FAILED. */
  stage(): StagingData {
    const { file, backing } = this.#options;
    this.#staging ??= this.#openStaging();
    return { memory: this.memory, staging: this.#staging, file, backing };
  }

  #openStaging(): number {
    const { file, backing } = this.#options;
    const what = `The file '${this.#stagingPath}', which takes in what arrives for drive '${this.memory.id}'`;
    const mode = fs.statSync(file, { throwIfNoEntry: false })?.mode ?? NEW_FILE_MODE;
    const staging = openLocked(this.#stagingPath, O_RDWR | O_CREAT, {
      what,
      kind: "exclusive",
      locks: this.#locks,
      mode: mode & 0o777,
    });
    const { length } = this.memory;
    try {
      fs.ftruncateSync(staging, 0);
      fs.ftruncateSync(staging, backing === undefined ? length : overlayLayout(length).fileBytes);
    } catch (error) {
      fs.closeSync(staging);
      throw writeFailed(`${what} cannot be made`, error);
    }
    Atomics.store(this.#words, DRIVE_WORD.received, 0);
    Atomics.store(this.#words, DRIVE_WORD.synced, 0);
    return staging;
  }

  /**
   * Puts the staging file in the image's place, if something came, and lets all threads use the drive.
   * Errors: WRITE_FAILED.
   */
  async place(): Promise<void> {
    if (this.#replaces) await this.#replaceImage();
    this.unstage();
    this.publish();
  }

  async #replaceImage(): Promise<void> {
    const { file } = this.#options;
    if (Atomics.load(this.#words, DRIVE_WORD.synced) === 0)
      throw new MigrationError(
        "INTERNAL",
        `what arrived for drive '${this.memory.id}' is not on the disk yet`,
      );
    try {
      fs.renameSync(this.#stagingPath, file);
      closeFile(this.#image);
      this.#image = this.#staging;
      this.#staging = undefined;
      await syncDirectory(file);
    } catch (error) {
      throw writeFailed(`${imageName(this.#options)} cannot be replaced by what arrived`, error);
    }
  }

  /** Removes the staging file. */
  unstage(): void {
    if (this.#staging === undefined) return;
    fs.rmSync(this.#stagingPath, { force: true });
    closeFile(this.#staging);
    this.#staging = undefined;
  }

  /** Removes a staging file whose agent was killed. */
  removeLeftover(): void {
    if (!this.#options.lock || !fs.existsSync(this.#stagingPath)) return;
    try {
      const kind = "exclusive";
      const what = this.#stagingPath;
      this.#staging = openLocked(this.#stagingPath, O_RDWR, { what, kind, locks: this.#locks });
    } catch (error) {
      // Its agent is alive, or it is not ours to remove.
      if (MigrationError.is(error)) return;
      throw error;
    }
    this.unstage();
  }

  close(): void {
    Atomics.store(this.#words, DRIVE_WORD.image, NO_FILE);
    Atomics.store(this.#words, DRIVE_WORD.backing, NO_FILE);
    closeFile(this.#image);
    closeFile(this.#backing);
    this.#image = undefined;
    this.#backing = undefined;
  }
}

function closeFile(fd: Descriptor): void {
  if (fd !== undefined) fs.closeSync(fd);
}
