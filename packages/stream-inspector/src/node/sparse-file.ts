import { WIRE_PAGE_SIZE } from "@peregrine/protocol";
import { closeSync, ftruncateSync, openSync, readSync, renameSync, writeSync } from "node:fs";
import { PageSet } from "../page-set.ts";
import { attemptWrite } from "./write-error.ts";

/** Pages that follow each other are written together, up to so many bytes. */
const RUN_BYTES = 1024 * 1024;

/**
 * A file of pages, each written at its place. What was never written is a hole and reads as zeros. Writes are
 * synchronous: pages come faster than they could be waited for one by one, and nothing else goes on meanwhile.
 */
export class SparseFile {
  readonly path: string;
  readonly #fd: number;
  readonly #written = new PageSet();
  readonly #page = new Uint8Array(WIRE_PAGE_SIZE);
  /** Pages that follow each other and are not in the file yet. */
  readonly #run = new Uint8Array(RUN_BYTES);
  #runAt = 0;
  #runBytes = 0;

  /** Makes the file, readable by this user only. Errors: WRITE_FAILED, also when it exists. */
  constructor(path: string) {
    this.path = path;
    this.#fd = attemptWrite(path, () => openSync(path, "wx+", 0o600));
  }

  /** Gives the file its length without writing anything. */
  resize(bytes: number): void {
    attemptWrite(this.path, () => ftruncateSync(this.#fd, bytes));
  }

  write(offset: number, page: Uint8Array): void {
    if (offset !== this.#runAt + this.#runBytes || this.#runBytes === RUN_BYTES) this.#startRun(offset);
    this.#run.set(page, this.#runBytes);
    this.#runBytes += WIRE_PAGE_SIZE;
    this.#written.add(offset / WIRE_PAGE_SIZE);
  }

  /** A page filled with one byte. Zeros are written only over something else. */
  fill(offset: number, value: number): void {
    if (value === 0 && !this.#written.has(offset / WIRE_PAGE_SIZE)) return;
    this.write(offset, this.#page.fill(value));
  }

  /** @returns the page as it is now, valid until the next call. */
  read(offset: number): Uint8Array {
    this.flush();
    attemptWrite(this.path, () => {
      const count = readSync(this.#fd, this.#page, 0, WIRE_PAGE_SIZE, offset);
      this.#page.fill(0, count);
    });
    return this.#page;
  }

  flush(): void {
    const [at, bytes] = [this.#runAt, this.#runBytes];
    this.#runBytes = 0;
    for (let done = 0; done < bytes;) {
      done += attemptWrite(this.path, () => writeSync(this.#fd, this.#run, done, bytes - done, at + done));
    }
  }

  /** Writes everything and gives the file another name, whatever has that name. It can be closed then. */
  finish(path: string): void {
    this.flush();
    attemptWrite(path, () => renameSync(this.path, path));
  }

  close(): void {
    closeSync(this.#fd);
  }

  #startRun(offset: number): void {
    this.flush();
    this.#runAt = offset;
  }
}
