import type { ByteReader } from "./byte-reader.ts";
import { DIRTY_BITMAP_FLAG, DIRTY_BITMAP_SECTION, DIRTY_BITMAP_START_FLAG } from "./dirty-bitmap-wire.ts";
import type { DirtyBitmapName, DirtyBitmapRecord } from "./dirty-bitmap-wire.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";
import { limitExceeded } from "./refusals.ts";

type Next =
  | { readonly item: "flags" }
  | { readonly item: "node-name" | "bitmap-name" | "start" | "bits"; readonly flags: number }
  | { readonly item: "bits-length"; readonly startSector: number; readonly sectors: number }
  | {
      readonly item: "bits-bytes";
      readonly startSector: number;
      readonly sectors: number;
      readonly length: number;
    };

const AWAITING: Record<Next["item"], string> = {
  flags: "a record of a dirty bitmap",
  "node-name": "the name of a block node",
  "bitmap-name": "the name of a dirty bitmap",
  start: "the granularity of a dirty bitmap",
  bits: "the sectors of a dirty bitmap",
  "bits-length": "the length of a dirty bitmap",
  "bits-bytes": "the bits of a dirty bitmap",
};

const KINDS =
  DIRTY_BITMAP_FLAG.endOfSection |
  DIRTY_BITMAP_FLAG.start |
  DIRTY_BITMAP_FLAG.complete |
  DIRTY_BITMAP_FLAG.bits;
const START_FLAGS =
  DIRTY_BITMAP_START_FLAG.enabled | DIRTY_BITMAP_START_FLAG.persistent | DIRTY_BITMAP_START_FLAG.autoload;
const START_BYTES = 5;
const BITS_HEAD_BYTES = 12;

/** Reads the payloads of `dirty-bitmap`. One instance per stream: names carry over from record to record. */
export class DirtyBitmapDecoder implements PayloadDecoder {
  readonly #limits: Limits;
  /** `bits` of a record are valid during the call only. */
  readonly #record: (record: DirtyBitmapRecord) => void;
  #next: Next = { item: "flags" };
  #recordAt = 0;
  #node: string | undefined;
  #bitmap: string | undefined;

  constructor(options: { readonly limits: Limits; readonly record: (record: DirtyBitmapRecord) => void }) {
    this.#limits = options.limits;
    this.#record = options.record;
  }

  get awaiting(): string {
    return AWAITING[this.#next.item];
  }

  decode(input: ByteReader): boolean {
    for (;;) {
      const next = this.#next;
      switch (next.item) {
        case "flags": {
          const count = flagBytes(input);
          if (count === undefined) return false;
          if (this.#flags(input, count)) return true;
          break;
        }
        case "node-name":
          if (!input.hasCounted()) return false;
          this.#node = input.counted("the name of a block node");
          // The names come in this order, and a new node has bitmaps of its own.
          this.#bitmap = undefined;
          this.#next = this.#behindNode(next.flags);
          break;
        case "bitmap-name":
          if (!input.hasCounted()) return false;
          this.#bitmap = input.counted("the name of a dirty bitmap");
          this.#next = this.#body(next.flags);
          break;
        case "start":
          if (input.available < START_BYTES) return false;
          this.#start(input.be32(), input.u8());
          break;
        case "bits":
          if (input.available < BITS_HEAD_BYTES) return false;
          this.#bits(next.flags, input.be64(), input.be32());
          break;
        case "bits-length":
          if (input.available < 8) return false;
          this.#next = { ...next, item: "bits-bytes", length: this.#length(input.be64()) };
          break;
        case "bits-bytes":
          if (input.available < next.length) return false;
          this.#give({
            ...this.#name(),
            kind: "bits",
            startSector: next.startSector,
            sectors: next.sectors,
            bits: input.view(next.length),
          });
          break;
      }
    }
  }

  /** @returns true at the end of the payload. */
  #flags(input: ByteReader, count: number): boolean {
    this.#recordAt = input.offset;
    // In four bytes the first two tell the length; the flags proper are the last byte.
    const extension = input.view(count - 1);
    const beyond = extension.some((byte, index) => byte !== (index < 2 ? DIRTY_BITMAP_FLAG.more : 0));
    const flags = input.u8();
    const kind = flags & KINDS;
    if (beyond || !isSingleBit(kind) || (flags & DIRTY_BITMAP_FLAG.more) !== 0) {
      throw this.#bad(`Unknown dirty bitmap flags: 0x${flags.toString(16)}`);
    }
    if (kind === DIRTY_BITMAP_FLAG.endOfSection) {
      if (flags !== kind) throw this.#bad("The end of a dirty bitmap section has other flags");
      return true;
    }
    if ((flags & DIRTY_BITMAP_FLAG.zeroes) !== 0 && kind !== DIRTY_BITMAP_FLAG.bits) {
      throw this.#bad("A dirty bitmap record without bits says that they are clear");
    }
    this.#next =
      (flags & DIRTY_BITMAP_FLAG.nodeName) === 0 ? this.#behindNode(flags) : { item: "node-name", flags };
    return false;
  }

  #behindNode(flags: number): Next {
    return (flags & DIRTY_BITMAP_FLAG.bitmapName) === 0 ? this.#body(flags) : { item: "bitmap-name", flags };
  }

  #body(flags: number): Next {
    const name = this.#name();
    if ((flags & DIRTY_BITMAP_FLAG.start) !== 0) return { item: "start", flags };
    if ((flags & DIRTY_BITMAP_FLAG.bits) !== 0) return { item: "bits", flags };
    this.#record({ ...name, kind: "complete" });
    return { item: "flags" };
  }

  #start(granularity: number, flags: number): void {
    if ((flags & ~START_FLAGS) !== 0) {
      throw this.#bad(`Unknown flags of a dirty bitmap: 0x${flags.toString(16)}`);
    }
    this.#give({
      ...this.#name(),
      kind: "start",
      granularity,
      enabled: (flags & DIRTY_BITMAP_START_FLAG.enabled) !== 0,
      persistent: (flags & DIRTY_BITMAP_START_FLAG.persistent) !== 0,
      autoload: (flags & DIRTY_BITMAP_START_FLAG.autoload) !== 0,
    });
  }

  #bits(flags: number, startSector: number, sectors: number): void {
    if ((flags & DIRTY_BITMAP_FLAG.zeroes) === 0) {
      this.#next = { item: "bits-length", startSector, sectors };
    } else {
      this.#give({ ...this.#name(), kind: "bits", startSector, sectors, bits: undefined });
    }
  }

  #length(length: number): number {
    const limit = this.#limits.maxItemBytes;
    if (length > limit) throw limitExceeded("bytes of dirty bitmap", length, limit, this.#place());
    return length;
  }

  #give(record: DirtyBitmapRecord): void {
    this.#record(record);
    this.#next = { item: "flags" };
  }

  #name(): DirtyBitmapName {
    if (this.#node === undefined || this.#bitmap === undefined) {
      throw this.#bad("A dirty bitmap record names no bitmap");
    }
    return { node: this.#node, bitmap: this.#bitmap };
  }

  #bad(text: string): MigrationError {
    return new MigrationError("BAD_SECTION", text, this.#place());
  }

  #place(): { offset: number; section: string } {
    return { offset: this.#recordAt, section: DIRTY_BITMAP_SECTION.name };
  }
}

/** How many bytes the flags have, once all are on hand. */
function flagBytes(input: ByteReader): 1 | 2 | 4 | undefined {
  if (input.available < 1) return undefined;
  if ((input.peekU8() & DIRTY_BITMAP_FLAG.more) === 0) return 1;
  if (input.available < 2) return undefined;
  if ((input.peek(2).at(1)! & DIRTY_BITMAP_FLAG.more) === 0) return 2;
  return input.available < 4 ? undefined : 4;
}

function isSingleBit(value: number): boolean {
  return value !== 0 && (value & (value - 1)) === 0;
}
