import { DirtyBitmap } from "../dirty-bitmap.ts";
import { PAGE_SIZE } from "../machine.ts";
import type { GuestRam, Machine, OpenRam } from "../machine.ts";

const PAGES_AT_ONCE = 64;

/** Opens guest memory the way another thread does. */
export async function openMachineRam(machine: Machine): Promise<GuestRam> {
  const { module, data } = machine.ram();
  const { openRam } = (await import(/* @vite-ignore */ module)) as { openRam: OpenRam };
  return openRam(structuredClone(data));
}

/** A bitmap for each block, with no bit set. */
export function noPages(ram: GuestRam): DirtyBitmap[] {
  return ram.blocks.map((block) => new DirtyBitmap(block.length / PAGE_SIZE));
}

/** A bitmap for each block, with the pages in use set. */
export function allPages(ram: GuestRam): DirtyBitmap[] {
  const bitmaps = noPages(ram);
  for (const [block, bitmap] of bitmaps.entries()) bitmap.setAll(ram.usedBytes(block) / PAGE_SIZE);
  return bitmaps;
}

/** The bytes in use of each block. */
export function snapshot(ram: GuestRam): Uint8Array[] {
  return ram.blocks.map((_, block) => {
    const bytes = new Uint8Array(ram.usedBytes(block));
    ram.readPages(block, 0, bytes.length / PAGE_SIZE, bytes, 0);
    return bytes;
  });
}

/** The pages that differ between two snapshots. What one of them does not have counts as zero. */
export function changedPages(before: readonly Uint8Array[], after: readonly Uint8Array[]): DirtyBitmap[] {
  return before.map((old, block) => {
    const now = after[block]!;
    const bytes = Math.max(old.length, now.length);
    const changed = new DirtyBitmap(bytes / PAGE_SIZE);
    for (let at = 0; at < bytes; at++) {
      if ((old[at] ?? 0) !== (now[at] ?? 0)) changed.set(Math.floor(at / PAGE_SIZE));
    }
    return changed;
  });
}

/** Copies the pages that are set in `dirty`, and clears their bits. */
export function copyPages(from: GuestRam, to: GuestRam, dirty: readonly DirtyBitmap[]): void {
  const buffer = new Uint8Array(PAGES_AT_ONCE * PAGE_SIZE);
  for (const [block, bitmap] of dirty.entries()) {
    for (let page = 0; ; page = bitmap.runStart) {
      const count = bitmap.takeRun(page, PAGES_AT_ONCE);
      if (count === 0) break;
      const start = bitmap.runStart;
      from.readPages(block, start, count, buffer, 0);
      to.writePages(block, start * PAGE_SIZE, buffer.subarray(0, count * PAGE_SIZE));
    }
  }
}
