import fs from "node:fs";
import type { DirtyBitmap } from "@peregrine/shared-state";
import { CHUNK_SIZE } from "@peregrine/shared-state/drive";
import { CLUSTER_BYTES, ClusterMap } from "./cluster-map.ts";
import { DRIVE_WORD, type DriveMemory, NO_FILE } from "./drive-memory.ts";
import { fdatasync, readAll, readLater, writeAll } from "./file-io.ts";
import { overlayLayout } from "./overlay.ts";

/** A range of bytes at the same place in a file as in the drive. */
interface Extent {
  readonly fd: number;
  readonly position: number;
  readonly length: number;
}

/**
 * The bytes of a drive, as any thread sees them: those of its image file, or for an overlay those of the backing file
 * where the overlay has no cluster. Only one thread writes; others may read meanwhile, and see a part of what is being
 * written.
 *
 * Every write leaves a mark in the dirty log, after the bytes are in the file and before the writer goes on. Who sends
 * the drive takes a chunk's mark first and reads the chunk then. So a write whose mark was taken is in what is read; one
 * that is under way has its mark still to come, and the chunk is read again. When the guest stands still no write is
 * under way, and the last harvest finds them all.
 */
export class DriveContents {
  readonly length: number;
  readonly #words: Int32Array;
  readonly #marks: Uint8Array;
  readonly #markWords: Int32Array;
  readonly #map: ClusterMap | undefined;

  constructor({ length, words, log, map }: DriveMemory) {
    this.length = length;
    this.#words = new Int32Array(words);
    this.#marks = new Uint8Array(log);
    this.#markWords = new Int32Array(log);
    this.#map = map === undefined ? undefined : new ClusterMap(length, map);
  }

  /** Fills `target`, which lies inside of the drive. */
  read(target: Uint8Array, position: number): void {
    for (const extent of this.#extents(position, target.length))
      readAll(extent.fd, part(target, extent, position), extent.position);
  }

  /** As {@link read}, in the background. */
  async readLater(target: Uint8Array, position: number): Promise<void> {
    for (const extent of this.#extents(position, target.length))
      await readLater(extent.fd, part(target, extent, position), extent.position);
  }

  /** Writes `bytes`, which are at least one and inside of the drive. */
  write(bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    try {
      if (this.#map === undefined) writeAll(this.#fd("image"), bytes, position);
      else this.#writeClusters(this.#map, bytes, position);
    } finally {
      // Also of a write that failed some bytes may be in the file.
      for (let chunk = Math.floor(position / CHUNK_SIZE); chunk * CHUNK_SIZE < end; chunk++)
        Atomics.store(this.#marks, chunk, 1);
    }
  }

  /** Flushes to the medium: data first, and only then the map that says they are there. */
  sync(what: "data" | "all"): void {
    const fd = this.#fd("image");
    if (what === "data") fs.fdatasyncSync(fd);
    else fs.fsyncSync(fd);
    if (this.#map?.hasChanged !== true) return;
    this.#map.save(fd, overlayLayout(this.length).mapAt);
    fs.fdatasyncSync(fd);
  }

  /** As {@link sync}, in the background, while nobody writes. */
  async flush(): Promise<void> {
    const fd = this.#fd("image");
    await fdatasync(fd);
    if (this.#map?.hasChanged !== true) return;
    this.#map.save(fd, overlayLayout(this.length).mapAt);
    await fdatasync(fd);
  }

  /** Nanoseconds since 1970; 0 while the file is not open. */
  modifiedNs(): bigint {
    const fd = Atomics.load(this.#words, DRIVE_WORD.image);
    return fd === NO_FILE ? 0n : fs.fstatSync(fd, { bigint: true }).mtimeNs;
  }

  /** Whether the image file itself holds any of the chunk. */
  holds(chunk: number): boolean {
    if (this.#map === undefined) return true;
    const first = chunk * (CHUNK_SIZE / CLUSTER_BYTES);
    return this.#map.holdsAny(first, Math.min(first + CHUNK_SIZE / CLUSTER_BYTES, this.#map.clusters) - 1);
  }

  /** Takes all marks. @returns how many bits were set in `into` that were clear before. */
  takeMarks(into: DirtyBitmap): number {
    let added = 0;
    for (let word = 0; word < this.#markWords.length; word++) {
      if (this.#markWords[word] === 0) continue;
      const marks = Atomics.exchange(this.#markWords, word, 0);
      for (let n = 0; n < 4; n++) {
        if (((marks >>> (8 * n)) & 0xff) !== 0 && into.set(word * 4 + n)) added++;
      }
    }
    return added;
  }

  clearMarks(): void {
    for (let word = 0; word < this.#markWords.length; word++) Atomics.store(this.#markWords, word, 0);
  }

  #fd(file: "image" | "backing"): number {
    return Atomics.load(this.#words, DRIVE_WORD[file]);
  }

  *#extents(position: number, length: number): IterableIterator<Extent> {
    const image = this.#fd("image");
    if (this.#map === undefined) {
      yield { fd: image, position, length };
      return;
    }
    const end = position + length;
    const last = clusterOf(end - 1);
    for (let at = position; at < end;) {
      // Looked at once: the writer may add the cluster meanwhile.
      const held = this.#map.has(clusterOf(at));
      const stop = Math.min(end, (this.#map.runEnd(clusterOf(at), last, held) + 1) * CLUSTER_BYTES);
      yield { fd: held ? image : this.#fd("backing"), position: at, length: stop - at };
      at = stop;
    }
  }

  /** What a cluster that is new in the overlay has around the bytes written comes from the backing file. */
  #writeClusters(map: ClusterMap, bytes: Uint8Array, position: number): void {
    const end = position + bytes.length;
    const [first, last] = [clusterOf(position), clusterOf(end - 1)];
    if (!map.has(first)) this.#copyUp(first * CLUSTER_BYTES, position);
    if (!map.has(last)) this.#copyUp(end, Math.min((last + 1) * CLUSTER_BYTES, this.length));
    writeAll(this.#fd("image"), bytes, position);
    map.add(first, last);
  }

  #copyUp(from: number, to: number): void {
    if (from === to) return;
    const bytes = new Uint8Array(to - from);
    readAll(this.#fd("backing"), bytes, from);
    writeAll(this.#fd("image"), bytes, from);
  }
}

const clusterOf = (position: number): number => Math.floor(position / CLUSTER_BYTES);

const part = (target: Uint8Array, { position, length }: Extent, start: number): Uint8Array =>
  target.subarray(position - start, position - start + length);
