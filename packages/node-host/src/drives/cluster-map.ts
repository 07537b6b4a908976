import { readAll, writeAll } from "./file-io.ts";

/** Bytes of a cluster: what an overlay has or has not. */
export const CLUSTER_BYTES = 65536;

const WORD_BITS = 32;
/** Words in front of the bits: the range of words that were changed and are not on the disk. */
const CHANGED_FROM = 0;
const CHANGED_TO = 1;
const FIRST_WORD = 2;

/**
 * Which clusters an overlay holds: a bit for each, the lowest bit of the first byte first. One thread sets bits, others
 * may look meanwhile. A bit is set when the whole cluster is in the file, so who sees it can read it there.
 */
export class ClusterMap {
  readonly clusters: number;
  readonly #words: Int32Array;

  /** @param memory of {@link bytesFor} bytes, all zeros for a map without clusters. */
  constructor(length: number, memory: SharedArrayBuffer) {
    this.clusters = Math.ceil(length / CLUSTER_BYTES);
    this.#words = new Int32Array(memory);
  }

  /** Bytes of memory for the map of a drive of so many bytes. */
  static bytesFor(length: number): number {
    return 4 * (FIRST_WORD + Math.ceil(length / CLUSTER_BYTES / WORD_BITS));
  }

  has(cluster: number): boolean {
    const word = Atomics.load(this.#words, FIRST_WORD + Math.floor(cluster / WORD_BITS));
    return (word & (1 << (cluster % WORD_BITS))) !== 0;
  }

  /** Sets the bits from `first` to `last`. */
  add(first: number, last: number): void {
    for (let cluster = first; cluster <= last; cluster++) {
      if (this.has(cluster)) continue;
      const word = FIRST_WORD + Math.floor(cluster / WORD_BITS);
      Atomics.or(this.#words, word, 1 << (cluster % WORD_BITS));
      this.#changed(word);
    }
  }

  /** The last cluster, at most `last`, up to which all from behind `first` on are held, or are not. */
  runEnd(first: number, last: number, held: boolean): number {
    let end = first;
    while (end < last && this.has(end + 1) === held) end++;
    return end;
  }

  /** Whether any of the clusters from `first` to `last` is held. */
  holdsAny(first: number, last: number): boolean {
    return this.has(first) || this.runEnd(first, last, false) < last;
  }

  /** Replaces all bits by those at byte `position` of a file. */
  load(fd: number, position: number): void {
    readAll(fd, this.#bytes(FIRST_WORD, this.#words.length), position);
    this.#nothingChanged();
  }

  get hasChanged(): boolean {
    return this.#words[CHANGED_TO] !== 0;
  }

  /** Writes what has changed since it was loaded or saved to its place behind byte `position` of a file. */
  save(fd: number, position: number): void {
    if (!this.hasChanged) return;
    const [from, to] = [this.#words[CHANGED_FROM]!, this.#words[CHANGED_TO]!];
    writeAll(fd, this.#bytes(from, to), position + 4 * (from - FIRST_WORD));
    this.#nothingChanged();
  }

  #bytes(from: number, to: number): Uint8Array {
    return new Uint8Array(this.#words.buffer, 4 * from, 4 * (to - from));
  }

  #changed(word: number): void {
    const words = this.#words;
    const isFirst = words[CHANGED_TO] === 0;
    words[CHANGED_FROM] = isFirst ? word : Math.min(words[CHANGED_FROM]!, word);
    words[CHANGED_TO] = Math.max(words[CHANGED_TO]!, word + 1);
  }

  #nothingChanged(): void {
    this.#words[CHANGED_FROM] = 0;
    this.#words[CHANGED_TO] = 0;
  }
}
