import type { ListedRamBlock } from "@peregrine/protocol";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { MemoryContents } from "../page-digests.ts";
import { SparseFile } from "./sparse-file.ts";
import { attemptWrite } from "./write-error.ts";

/** Guest memory in a file in the directory for temporary ones, which has no name any more. */
export class ScratchMemory implements MemoryContents, Disposable {
  readonly #file: SparseFile;
  /** Where each block begins in the file. */
  readonly #starts: number[] = [];
  #bytes = 0;

  constructor() {
    const prefix = join(tmpdir(), "peregrine-inspect-");
    const directory = attemptWrite(prefix, () => mkdtempSync(prefix));
    try {
      this.#file = new SparseFile(join(directory, "memory"));
    } finally {
      rmSync(directory, { recursive: true });
    }
  }

  block(index: number, { length }: ListedRamBlock): void {
    this.#starts[index] = this.#bytes;
    this.#bytes += length;
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.#file.write(this.#starts[block]! + offset, bytes);
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.#file.fill(this.#starts[block]! + offset, fill);
  }

  presentPage(block: number, offset: number): Uint8Array {
    return this.#file.read(this.#starts[block]! + offset);
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}
