import fs from "node:fs";
import { CHUNK_SIZE, DirtyBitmap } from "@peregrine/shared-state";
import { CLUSTER_BYTES, ClusterMap } from "./cluster-map.ts";
import { DRIVE_WORD, type DriveMemory } from "./drive-memory.ts";
import { fdatasync, readLater, writeLater } from "./file-io.ts";
import { writeFailed } from "./locked-file.ts";
import { checkOverlay, overlayLayout, writeHeader } from "./overlay.ts";

/** What another thread needs for taking in a drive. Survives structured clone. */
export interface StagingData {
  readonly memory: DriveMemory;
  /** Descriptor of the staging file, which is new and has the right size. The main thread closes it. */
  readonly staging: number;
  /** The image file as it is, and for an overlay its backing file. */
  readonly file: string;
  readonly backing: string | undefined;
}

const CHUNK_CLUSTERS = CHUNK_SIZE / CLUSTER_BYTES;

/** The contents of a drive as they come in a stream: written into a staging file, which replaces the image file later. */
export class StagedDrive {
  readonly #data: StagingData;
  readonly #words: Int32Array;
  /** Chunks that the staging file has, from the stream or from the image file. */
  readonly #present: DirtyBitmap;
  readonly #map: ClusterMap | undefined;

  constructor(data: StagingData) {
    const { length, words } = data.memory;
    this.#data = data;
    this.#words = new Int32Array(words);
    this.#present = new DirtyBitmap(Math.ceil(length / CHUNK_SIZE));
    this.#map = data.backing === undefined ? undefined : newMap(length);
  }

  /** Errors: WRITE_FAILED. */
  async write(chunk: number, bytes: Uint8Array): Promise<void> {
    const { staging, memory, file } = this.#data;
    const part = bytes.subarray(0, Math.min(CHUNK_SIZE, memory.length - chunk * CHUNK_SIZE));
    await forFile(file, () => writeLater(staging, part, chunk * CHUNK_SIZE));
    this.#add(chunk);
  }

  /** What the staging file was not given is zeros. Errors: WRITE_FAILED. */
  async writeZeros(chunk: number): Promise<void> {
    if (this.#present.test(chunk)) await this.write(chunk, new Uint8Array(CHUNK_SIZE));
    else this.#add(chunk);
  }

  /**
   * Adds what has not come from the image file as it is here, once. When nothing has come at all, that file stays.
   * Errors: WRITE_FAILED.
   */
  async sync(): Promise<void> {
    const { staging, memory, file, backing } = this.#data;
    const { length } = memory;
    await forFile(file, async () => {
      if (Atomics.load(this.#words, DRIVE_WORD.received) > 0) await this.#complete();
      await fdatasync(staging);
      if (this.#map === undefined) return;
      this.#map.save(staging, overlayLayout(length).mapAt);
      writeHeader(staging, { length, backing: backing! });
      await fdatasync(staging);
    });
    Atomics.store(this.#words, DRIVE_WORD.synced, 1);
  }

  #add(chunk: number): void {
    const first = chunk * CHUNK_CLUSTERS;
    this.#map?.add(first, Math.min(first + CHUNK_CLUSTERS, this.#map.clusters) - 1);
    this.#present.set(chunk);
    Atomics.store(this.#words, DRIVE_WORD.received, 1);
    Atomics.store(this.#words, DRIVE_WORD.synced, 0);
  }

  async #complete(): Promise<void> {
    const { file, memory, backing } = this.#data;
    if (this.#present.count === this.#present.pages) return;
    const image = openImage(file);
    if (image === undefined) return;
    try {
      if (backing === undefined) await this.#copyImage(image);
      else if (checkOverlay(image, file, { length: memory.length, backing })) await this.#copyClusters(image);
    } finally {
      fs.closeSync(image);
    }
    this.#present.setAll();
  }

  async #copyImage(image: number): Promise<void> {
    const { staging, memory } = this.#data;
    const buffer = new Uint8Array(CHUNK_SIZE);
    for (let chunk = 0; chunk < this.#present.pages; chunk++) {
      if (this.#present.test(chunk)) continue;
      const position = chunk * CHUNK_SIZE;
      const bytes = buffer.subarray(0, Math.min(CHUNK_SIZE, memory.length - position));
      await readLater(image, bytes, position);
      // A hole stays one.
      if (bytes.some((byte) => byte !== 0)) await writeLater(staging, bytes, position);
    }
  }

  async #copyClusters(image: number): Promise<void> {
    const { staging, memory } = this.#data;
    const map = newMap(memory.length);
    map.load(image, overlayLayout(memory.length).mapAt);
    const buffer = new Uint8Array(CLUSTER_BYTES);
    for (let cluster = 0; cluster < map.clusters; cluster++) {
      if (!map.has(cluster) || this.#present.test(Math.floor(cluster / CHUNK_CLUSTERS))) continue;
      const position = cluster * CLUSTER_BYTES;
      const bytes = buffer.subarray(0, Math.min(CLUSTER_BYTES, memory.length - position));
      await readLater(image, bytes, position);
      await writeLater(staging, bytes, position);
      this.#map!.add(cluster, cluster);
    }
  }
}

const newMap = (length: number): ClusterMap =>
  new ClusterMap(length, new SharedArrayBuffer(ClusterMap.bytesFor(length)));

/** An overlay may be new. */
function openImage(file: string): number | undefined {
  try {
    return fs.openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

async function forFile(file: string, operation: () => Promise<void>): Promise<void> {
  try {
    await operation();
  } catch (error) {
    throw writeFailed(`What arrives for the drive '${file}' cannot be kept`, error);
  }
}
