import { MigrationError } from "@peregrine/protocol";
import type { ListedRamBlock } from "@peregrine/protocol";
import { lstatSync, rmSync } from "node:fs";
import type { MemoryTarget } from "../memory-target.ts";
import { SparseFile } from "./sparse-file.ts";

interface RamFileOptions {
  /** Name of the RAM block. */
  readonly block: string;
  readonly path: string;
  /** Whether a file that is there is replaced. */
  readonly force: boolean;
}

/**
 * Writes one RAM block into a file. The file has another name until it is {@link keep kept}, so that what stands
 * under its own name is whole.
 */
export class RamFile implements MemoryTarget {
  readonly #options: RamFileOptions;
  readonly #names: string[] = [];
  #index: number | undefined;
  #file: SparseFile | undefined;

  /** Errors: WRITE_FAILED when the file is there and is not to be replaced. */
  constructor(options: RamFileOptions) {
    this.#options = options;
    this.#requireReplaceable();
  }

  block(index: number, entry: ListedRamBlock): void {
    this.#names.push(entry.name);
    if (entry.name !== this.#options.block) return;
    this.#index = index;
    this.#file = new SparseFile(`${this.#options.path}.${process.pid}.part`);
    this.#file.resize(entry.length);
  }

  /** Errors: BAD_PARAMETER when the stream does not have the block. */
  listed(): void {
    if (this.#index !== undefined) return;
    const names = this.#names.map((name) => `'${name}'`).join(", ");
    throw new MigrationError(
      "BAD_PARAMETER",
      `The stream has no RAM block '${this.#options.block}'; it has ${names}`,
    );
  }

  wants(block: number): boolean {
    return block === this.#index;
  }

  page(_block: number, offset: number, bytes: Uint8Array): void {
    this.#file!.write(offset, bytes);
  }

  zeroPage(_block: number, offset: number, fill: number): void {
    this.#file!.fill(offset, fill);
  }

  presentPage(_block: number, offset: number): Uint8Array {
    return this.#file!.read(offset);
  }

  /** Gives the file its own name. @returns false when the block has not come. Errors: WRITE_FAILED. */
  keep(): boolean {
    const file = this.#file;
    if (file === undefined) return false;
    this.#requireReplaceable();
    file.finish(this.#options.path);
    this.#file = undefined;
    file.close();
    return true;
  }

  /** Removes the file unless it was kept. */
  discard(): void {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    file.close();
    rmSync(file.path, { force: true });
  }

  #requireReplaceable(): void {
    const { path, force } = this.#options;
    const stats = lstatSync(path, { throwIfNoEntry: false });
    if (stats === undefined) return;
    if (!stats.isFile()) {
      throw new MigrationError("WRITE_FAILED", `'${path}' is there and is no file; give another name`);
    }
    if (!force) {
      throw new MigrationError("WRITE_FAILED", `'${path}' is there already; give another name or --force`);
    }
  }
}
