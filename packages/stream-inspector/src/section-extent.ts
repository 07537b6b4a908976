import { RAM_SECTION } from "@peregrine/protocol";
import type { CutBy, SectionHeader } from "@peregrine/protocol";
import type { SectionEvent } from "./inspect-events.ts";
import type { PageCounts } from "./page-counts.ts";

/** A section that is being read: where it begins, and what was counted before it. */
export class SectionExtent {
  readonly header: SectionHeader;
  readonly #offset: number;
  readonly #payloadAt: number;
  readonly #ramBefore: PageCounts;
  #device: { readonly end: number; readonly cutBy: CutBy } | undefined;

  constructor(header: SectionHeader, offset: number, payloadAt: number, ram: PageCounts) {
    this.header = header;
    this.#offset = offset;
    this.#payloadAt = payloadAt;
    this.#ramBefore = { ...ram };
  }

  /** Offset in the stream behind the payload of a device section; undefined when it is none. */
  get deviceEnd(): number | undefined {
    return this.#device?.end;
  }

  endDevice(end: number, cutBy: CutBy): void {
    this.#device = { end, cutBy };
  }

  /** @param end offset behind the section and its footer. @param ram what is counted now. */
  event(payloadEnd: number, end: number, packaged: boolean, ram: PageCounts): SectionEvent {
    return {
      item: "section",
      offset: this.#offset,
      size: end - this.#offset,
      ...this.header,
      payloadBytes: payloadEnd - this.#payloadAt,
      footer: end > payloadEnd,
      packaged,
      ...(this.#device === undefined ? {} : { cutBy: this.#device.cutBy }),
      ...(this.header.name === RAM_SECTION.name ? { ram: since(this.#ramBefore, ram) } : {}),
    };
  }
}

function since(before: PageCounts, now: PageCounts): PageCounts {
  const counts = { ...now };
  for (const key of Object.keys(counts) as (keyof PageCounts)[]) counts[key] -= before[key];
  return counts;
}
