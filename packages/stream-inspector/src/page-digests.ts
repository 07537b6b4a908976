import { WIRE_PAGE_SIZE } from "@peregrine/protocol";
import type { ListedRamBlock } from "@peregrine/protocol";
import type { MemoryTarget } from "./memory-target.ts";

/** log2 of the pages whose digests lie together: 4 KiB, which one page of a stream is enough to have taken. */
const PIECE_BITS = 9;
const PIECE_PAGES = 2 ** PIECE_BITS;

/** A digest of a page. Its first 8 bytes are used; they are all zero for no page. */
type DigestPage = (page: Uint8Array) => Uint8Array;

/** Keeps the contents of memory, for deltas. */
export type MemoryContents = Pick<MemoryTarget, "block" | "page" | "zeroPage" | "presentPage">;

/** A delta came, and there are no contents to apply it to. */
export class ContentsNeeded extends Error {}

interface PageDigestsOptions {
  readonly digest: DigestPage;
  /** Default: a delta ends the reading with {@link ContentsNeeded}. */
  readonly contents?: MemoryContents;
}

/** Keeps 8 bytes of each page of guest memory, for a comparison. */
export class PageDigests implements MemoryTarget {
  readonly blocks: ListedRamBlock[] = [];
  readonly #options: PageDigestsOptions;
  /** By block; two words for each page, both 0 for one that never came. */
  readonly #digests: (Uint32Array | undefined)[][] = [];
  readonly #filled = new Map<number, DataView>();

  constructor(options: PageDigestsOptions) {
    this.#options = options;
  }

  block(index: number, entry: ListedRamBlock): void {
    this.blocks[index] = entry;
    this.#digests[index] = [];
    this.#options.contents?.block(index, entry);
  }

  listed(): void {
    // Every block is wanted.
  }

  wants(): boolean {
    return true;
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.#options.contents?.page(block, offset, bytes);
    this.#set(block, offset, this.#digestOf(bytes));
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.#options.contents?.zeroPage(block, offset, fill);
    let digest = this.#filled.get(fill);
    if (digest === undefined) {
      digest = this.#digestOf(new Uint8Array(WIRE_PAGE_SIZE).fill(fill));
      this.#filled.set(fill, digest);
    }
    this.#set(block, offset, digest);
  }

  presentPage(block: number, offset: number): Uint8Array {
    const { contents } = this.#options;
    if (contents === undefined) throw new ContentsNeeded();
    return contents.presentPage(block, offset);
  }

  /** Whether both have the same page there, or neither has one. */
  same(block: number, other: PageDigests, otherBlock: number, page: number): boolean {
    const mine = this.#digests[block]?.[page >>> PIECE_BITS];
    const theirs = other.#digests[otherBlock]?.[page >>> PIECE_BITS];
    const at = 2 * (page & (PIECE_PAGES - 1));
    return (mine?.[at] ?? 0) === (theirs?.[at] ?? 0) && (mine?.[at + 1] ?? 0) === (theirs?.[at + 1] ?? 0);
  }

  #digestOf(bytes: Uint8Array): DataView {
    const digest = this.#options.digest(bytes);
    return new DataView(digest.buffer, digest.byteOffset, 8);
  }

  #set(block: number, offset: number, digest: DataView): void {
    const page = offset / WIRE_PAGE_SIZE;
    const piece = (this.#digests[block]![page >>> PIECE_BITS] ??= new Uint32Array(2 * PIECE_PAGES));
    const at = 2 * (page & (PIECE_PAGES - 1));
    piece[at] = digest.getUint32(0);
    piece[at + 1] = digest.getUint32(4);
  }
}
