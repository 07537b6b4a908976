import * as fc from "fast-check";
import { RamPageEncoder } from "../src/index.ts";
import { written } from "./support.ts";

const PAGE = 4096;

/** A page that is zero up to a byte, or wholly. */
export const page = fc.oneof(
  fc.constant({ at: 0, value: 0 }),
  fc.record({ at: fc.nat(PAGE - 1), value: fc.integer({ min: 1, max: 255 }) }),
);
export const run = fc.array(page, { maxLength: 6 });
export const offset = fc.oneof(
  fc.nat(20).map((n) => n * PAGE),
  fc.integer({ min: 0, max: 2 ** 41 - 7 }).map((n) => n * PAGE),
  fc.constantFrom(2 ** 31 - PAGE, 2 ** 32 - PAGE, 2 ** 32, 2 ** 40 - PAGE),
);

export function fill(
  bytes: Uint8Array,
  pages: readonly { readonly at: number; readonly value: number }[],
): void {
  bytes.fill(0);
  for (const [n, { at, value }] of pages.entries()) bytes[n * PAGE + at] = value;
}

export interface TestRecord {
  readonly kind: "page" | "zero" | "filled" | "other-offset" | "named" | "end";
}
/** Records of pages from `first` on. Some are not what a run is made of. */
export function recordsOf(kinds: readonly TestRecord[], first: number): Uint8Array {
  return written((w) => {
    const encoder = new RamPageEncoder();
    encoder.zeroPage(w, "a", 0);
    const before = w.length;
    for (const [n, { kind }] of kinds.entries()) {
      const at = first + n * PAGE;
      const bytes = Uint8Array.from({ length: PAGE }, (_, index) => n + index * 7 + (index >> 8));
      if (kind === "page") encoder.page(w, "a", at, bytes);
      else if (kind === "zero") encoder.zeroPage(w, "a", at);
      else if (kind === "filled") encoder.zeroPage(w, "a", at, 0x20);
      else if (kind === "other-offset") encoder.page(w, "a", at + PAGE, bytes);
      else if (kind === "named") new RamPageEncoder().page(w, "a", at, bytes);
      else encoder.endOfSection(w);
    }
    const records = w.view().slice(before);
    w.reset();
    w.bytes(records);
  });
}
