import { cutDevices } from "./device-cut.ts";
import { MigrationError } from "./errors.ts";
import { FooterSearch } from "./footer-search.ts";
import type { FooterSearchOptions, TailInput } from "./footer-search.ts";
import type { SectionHeader } from "./messages.ts";
import { limitExceeded, truncated } from "./refusals.ts";
import { be32 } from "./section-scan.ts";
import { decodeUtf8 } from "./utf8.ts";
import { parseVmDescription } from "./vm-description-parse.ts";
import { SECTION_TYPE } from "./wire.ts";

/** What tells the length of a device section: the vmdescription to the byte, the footer by a search. */
export type CutBy = "description" | "footer";

/** Lengths of the payloads of the next FULL sections, in order; or nothing in the stream tells them. */
export type DeviceLengths =
  | { readonly kind: "known"; readonly by: CutBy; readonly lengths: readonly number[] }
  | { readonly kind: "unknown" };

/** End mark, type of the vmdescription, its length, and how its JSON begins. */
const DESCRIPTION_HEAD_BYTES = 6;
const JSON_START = [0x7b, 0x22];
/** Places that may look like the start of a vmdescription. A real stream has one. */
const MAX_CANDIDATES = 64;

export interface DeviceTailOptions extends FooterSearchOptions {
  /** Whether the sections may have footers. */
  readonly footers: boolean;
}

/**
 * Finds the lengths of device sections, which the wire does not give. The sections are looked at as a whole
 * when the vmdescription behind them has come. Where there is none, their footers are searched.
 */
export class DeviceTail {
  readonly #options: DeviceTailOptions;
  readonly #footers: FooterSearch | undefined;
  /** Offsets of end marks with what may be a vmdescription behind them. */
  #candidates: readonly number[] = [];
  #candidatesSeen = 0;
  #scanAt = 0;

  constructor(options: DeviceTailOptions) {
    this.#options = options;
    if (options.footers) this.#footers = new FooterSearch(options);
  }

  /**
   * @param bytes everything on hand from the first payload on.
   * @returns undefined while the lengths cannot be told.
   * Errors: TRUNCATED at the end of the stream, LIMIT_EXCEEDED.
   */
  measure(bytes: Uint8Array, behind: TailInput): DeviceLengths | undefined {
    if (behind === "quiet") return this.#settled(bytes);
    if (behind !== "end-of-package") {
      const described = this.#byDescription(bytes);
      if (described !== undefined) return { kind: "known", by: "description", lengths: described };
    }
    const end = this.#footers?.search(bytes, behind);
    const lengths = this.#footers?.lengths ?? [];
    if (end === "live-sections" || (behind !== "more" && lengths.length > 0)) {
      return { kind: "known", by: "footer", lengths };
    }
    return behind === "more" ? undefined : { kind: "unknown" };
  }

  /** Looks at everything anew, so that nothing is taken for granted when more comes after all. */
  #settled(bytes: Uint8Array): DeviceLengths | undefined {
    if (this.#options.footers) {
      const footers = new FooterSearch(this.#options);
      const end = footers.search(bytes, "quiet");
      if (end === "end") return { kind: "known", by: "footer", lengths: footers.lengths };
    }
    return bytes.at(-1) === SECTION_TYPE.endMark ? { kind: "unknown" } : undefined;
  }

  #byDescription(bytes: Uint8Array): readonly number[] | undefined {
    this.#findCandidates(bytes);
    const waiting: number[] = [];
    for (const at of this.#candidates) {
      const from = at + DESCRIPTION_HEAD_BYTES;
      const end = from + be32(bytes, at + 2);
      if (end > bytes.length) {
        waiting.push(at);
        continue;
      }
      const lengths = this.#cut(bytes.subarray(0, at + 1), bytes.subarray(from, end));
      if (lengths !== undefined) return lengths;
    }
    this.#candidates = waiting;
    return undefined;
  }

  #findCandidates(bytes: Uint8Array): void {
    const found: number[] = [];
    const last = bytes.length - DESCRIPTION_HEAD_BYTES - JSON_START.length;
    let at = bytes.indexOf(SECTION_TYPE.vmDescription, this.#scanAt + 1) - 1;
    for (; at >= 0 && at <= last; at = bytes.indexOf(SECTION_TYPE.vmDescription, at + 2) - 1) {
      if (!this.#looksLikeDescription(bytes, at)) continue;
      this.#candidatesSeen += 1;
      if (this.#candidatesSeen > MAX_CANDIDATES) {
        throw limitExceeded("beginnings of a vmdescription", this.#candidatesSeen, MAX_CANDIDATES);
      }
      found.push(at);
    }
    this.#scanAt = Math.max(this.#scanAt, last + 1, 0);
    if (found.length > 0) this.#candidates = [...this.#candidates, ...found];
  }

  #looksLikeDescription(bytes: Uint8Array, at: number): boolean {
    return (
      bytes[at] === SECTION_TYPE.endMark &&
      be32(bytes, at + 2) <= this.#options.limits.maxVmDescriptionBytes &&
      bytes[at + DESCRIPTION_HEAD_BYTES] === JSON_START[0] &&
      bytes[at + DESCRIPTION_HEAD_BYTES + 1] === JSON_START[1]
    );
  }

  /** @returns undefined when these bytes are not the description of the sections. */
  #cut(tail: Uint8Array, json: Uint8Array): readonly number[] | undefined {
    try {
      const description = parseVmDescription(decodeUtf8(json, "The vmdescription"));
      return cutDevices(tail, this.#options.first, description).map(({ length }) => length);
    } catch (error) {
      if (MigrationError.is(error)) return undefined;
      throw error;
    }
  }
}

/**
 * The stream, or the package, ended in or behind a device section, and nothing in it tells where that ends.
 * @param end offset in the stream where it did.
 */
export function unmeasuredDevice(header: SectionHeader, footers: boolean, end: number): MigrationError {
  if (footers) return truncated(`the rest of the section '${header.name}' and its footer`, { offset: end });
  return new MigrationError(
    "BAD_SECTION",
    `The device sections from '${header.name}' on cannot be told apart: the stream has neither section ` +
      "footers nor a vmdescription that fits. Send it with a machine type that has one of them",
  );
}
