import type { ByteReader } from "./byte-reader.ts";
import { DeviceTail, unmeasuredDevice } from "./device-tail.ts";
import type { CutBy } from "./device-tail.ts";
import type { TailInput } from "./footer-search.ts";
import type { Limits } from "./limits.ts";
import type { SectionHeader } from "./messages.ts";
import { limitExceeded } from "./refusals.ts";
import type { FooterUse, OpaqueSection, StreamState } from "./stream-state.ts";

/** Where a held section is in its stream. */
export interface HeldPlace {
  /** Bytes up to the end of the package, if the section is in one. */
  readonly remaining: number | undefined;
  readonly behind: Exclude<TailInput, "end-of-package">;
  readonly footers: FooterUse;
}

/** Hands out the lengths of device sections, one for each FULL section, as they become known. */
export class DeviceLengths {
  readonly #limits: Limits;
  readonly #isOpen: (id: number) => boolean;
  #known: readonly number[] = [];
  #by: CutBy = "footer";
  #next = 0;

  constructor(limits: Limits, isOpen: (id: number) => boolean) {
    this.#limits = limits;
    this.#isOpen = isOpen;
  }

  /** A FULL section with a layout that the handler knows was opened. */
  skip(): void {
    this.#next += 1;
  }

  /** What to do with the payload of an opaque section that was opened. */
  begin(section: OpaqueSection, footers: FooterUse): StreamState {
    const length = this.#known[this.#next];
    if (length === undefined) {
      return { item: "measuring", section, tail: this.#tail(section.header, footers) };
    }
    this.#next += 1;
    return { item: "opaque-payload", section, length, by: this.#by };
  }

  /** @returns what to do with the payload; undefined while it is not known. */
  measure(
    { section, tail }: { readonly section: OpaqueSection; readonly tail: DeviceTail },
    input: ByteReader,
    place: HeldPlace,
  ): StreamState | undefined {
    const limit = this.#limits.maxDeviceTailBytes;
    const available = Math.min(input.available, place.remaining ?? Infinity);
    const bytes = input.peek(Math.min(available, limit + 1));
    const lengths = tail.measure(bytes, available === place.remaining ? "end-of-package" : place.behind);
    if (lengths?.kind === "known") {
      this.#known = lengths.lengths;
      this.#by = lengths.by;
      this.#next = 0;
      return this.begin(section, place.footers);
    }
    if (available > limit) throw limitExceeded("bytes of device sections", available, limit);
    if (lengths === undefined) return undefined;
    const footers = place.footers === "present";
    if (footers || place.remaining !== undefined || section.device.undivided === undefined) {
      if (place.behind === "quiet") return undefined;
      throw unmeasuredDevice(section.header, footers, input.offset + available);
    }
    return { item: "undivided", section, length: Math.max(0, available - 1) };
  }

  #tail(first: SectionHeader, footers: FooterUse): DeviceTail {
    const options = { first, limits: this.#limits, isOpen: this.#isOpen };
    return new DeviceTail({ ...options, footers: footers !== "absent" });
  }
}
