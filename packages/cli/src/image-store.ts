import { MigrationError } from "@peregrine/protocol";
import type { Machine } from "@peregrine/shared-state";
import { access, mkdir, open, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import { copyImage } from "./image-copy.ts";

/** What a stored image is: the stream that it came in, as QEMU itself would write it to a file. */
const SUFFIX = ".qemu";
/** Being written: of no use until it is complete. */
const PART_SUFFIX = ".qemu.part";

/** The place of one image in a directory. */
export class ImageStore {
  readonly #directory: string;
  readonly #name: string;

  private constructor(directory: string, name: string) {
    this.#directory = directory;
    this.#name = name;
  }

  /** Makes the directory if it has to. Errors: NO_SUCH_FILE. */
  static async open(directory: string, name: string): Promise<ImageStore> {
    const path = resolve(directory);
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
    } catch (cause) {
      throw storeError(`The directory ${path} cannot be used to keep images`, cause);
    }
    return new ImageStore(path, name);
  }

  /** The file, whether it exists or not. */
  get path(): string {
    return this.#pathWith(SUFFIX);
  }

  async holdsImage(): Promise<boolean> {
    try {
      await access(this.path);
      return true;
    } catch {
      return false;
    }
  }

  /** Writes the image; resolves when it is on the disk. Errors: as of the migration into a file; nothing is left then. */
  async save(machine: Machine): Promise<void> {
    const part = this.#pathWith(PART_SUFFIX);
    try {
      // Of an agent that was killed while it wrote.
      await rm(part, { force: true });
      await copyImage(machine, `file:${part}`);
      await this.#rename(part, this.path);
    } catch (error) {
      // What went wrong first is the reason; what cannot be removed is in the way of the next image, which says so.
      await rm(part, { force: true }).catch(() => undefined);
      throw storeError(`The image '${this.#name}' cannot be kept in ${this.#directory}`, error);
    }
  }

  /** The guest is elsewhere. Errors: STORE_FAILED. */
  async remove(): Promise<void> {
    try {
      await rm(this.path, { force: true });
      await this.#sync();
    } catch (cause) {
      throw storeError(`${this.path} cannot be removed, though its guest is elsewhere`, cause);
    }
  }

  #pathWith(suffix: string): string {
    return join(this.#directory, this.#name + suffix);
  }

  async #rename(from: string, to: string): Promise<void> {
    await rename(from, to);
    await this.#sync();
  }

  /** A name is on the disk when its directory is. */
  async #sync(): Promise<void> {
    const directory = await open(this.#directory);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}

function storeError(what: string, cause: unknown): MigrationError {
  const { message } = MigrationError.from(cause);
  return new MigrationError("STORE_FAILED", `${what}: ${message}`, { cause });
}
