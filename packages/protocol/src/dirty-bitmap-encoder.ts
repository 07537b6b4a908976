import type { ByteWriter } from "./byte-writer.ts";
import { DIRTY_BITMAP_FLAG, DIRTY_BITMAP_START_FLAG } from "./dirty-bitmap-wire.ts";
import type { DirtyBitmapRecord } from "./dirty-bitmap-wire.ts";

/** Writes records of `dirty-bitmap`. Names are sent when they change, so one instance per stream. */
export class DirtyBitmapEncoder {
  #node: string | undefined;
  #bitmap: string | undefined;

  record(w: ByteWriter, record: DirtyBitmapRecord): void {
    const newNode = record.node !== this.#node;
    const newBitmap = newNode || record.bitmap !== this.#bitmap;
    let flags: number = DIRTY_BITMAP_FLAG[record.kind];
    if (newNode) flags |= DIRTY_BITMAP_FLAG.nodeName;
    if (newBitmap) flags |= DIRTY_BITMAP_FLAG.bitmapName;
    if (record.kind === "bits" && record.bits === undefined) flags |= DIRTY_BITMAP_FLAG.zeroes;
    w.u8(flags);
    if (newNode) w.counted(record.node);
    if (newBitmap) w.counted(record.bitmap);
    this.#node = record.node;
    this.#bitmap = record.bitmap;
    putBody(w, record);
  }

  /** The record that ends the payload of every `dirty-bitmap` section. */
  endOfSection(w: ByteWriter): void {
    w.u8(DIRTY_BITMAP_FLAG.endOfSection);
  }
}

function putBody(w: ByteWriter, record: DirtyBitmapRecord): void {
  if (record.kind === "start") {
    w.be32(record.granularity);
    w.u8(
      (record.enabled ? DIRTY_BITMAP_START_FLAG.enabled : 0) |
        (record.persistent ? DIRTY_BITMAP_START_FLAG.persistent : 0) |
        (record.autoload ? DIRTY_BITMAP_START_FLAG.autoload : 0),
    );
  } else if (record.kind === "bits") {
    w.be64(record.startSector);
    w.be32(record.sectors);
    if (record.bits === undefined) return;
    w.be64(record.bits.length);
    w.bytes(record.bits);
  }
}
