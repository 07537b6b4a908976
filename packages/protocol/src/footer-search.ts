import type { Limits } from "./limits.ts";
import type { SectionHeader } from "./messages.ts";
import { be32, isFooter, scanItem } from "./section-scan.ts";
import { COMMAND_CODE, SECTION_TYPE } from "./wire.ts";

/** Why the search has stopped. */
export type SearchEnd =
  /** More bytes are needed. */
  | "incomplete"
  /** The end mark, or the end of the package. */
  | "end"
  /** Sections that tell their own length follow. */
  | "live-sections";

const FOOTER_BYTES = 5;
/** Type, length and the first byte of the JSON. */
const DESCRIPTION_START_BYTES = 6;
const OPENING_BRACE = 0x7b;

/**
 * Finds the ends of device sections by their footers: the type byte and the id of the section, with
 * something behind them that can follow a section. Goes on where it stopped when more bytes have come.
 */
export class FooterSearch {
  readonly #limits: Limits;
  readonly #isOpen: (id: number) => boolean;
  readonly #lengths: number[] = [];
  #id: number;
  #payloadAt = 0;
  #scanAt = 0;
  #end: SearchEnd = "incomplete";

  /** @param isOpen whether a START section has the id and no END yet. */
  constructor(options: {
    readonly first: SectionHeader;
    readonly limits: Limits;
    readonly isOpen: (id: number) => boolean;
  }) {
    this.#id = options.first.id;
    this.#limits = options.limits;
    this.#isOpen = options.isOpen;
  }

  /** Bytes of the payloads found so far, in order. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /** @param complete whether `bytes`, which begin with the first payload, are all that there are. */
  search(bytes: Uint8Array, complete: boolean): SearchEnd {
    while (this.#end === "incomplete") {
      const at = bytes.indexOf(SECTION_TYPE.footer, this.#scanAt);
      if (at < 0) {
        this.#scanAt = bytes.length;
        break;
      }
      this.#scanAt = at;
      const footer = isFooter(bytes, at, this.#id);
      if (footer === undefined) break;
      const next = footer ? this.#behind(bytes, at + FOOTER_BYTES, complete) : "other";
      if (next === "incomplete") break;
      if (next === "other") {
        this.#scanAt = at + 1;
        continue;
      }
      this.#lengths.push(at - this.#payloadAt);
      if (typeof next === "string") {
        this.#end = next;
      } else {
        this.#id = next.id;
        this.#payloadAt = next.payloadAt;
        this.#scanAt = next.payloadAt;
      }
    }
    return this.#end;
  }

  #behind(bytes: Uint8Array, at: number, complete: boolean): Behind {
    if (complete && at === bytes.length) return "end";
    const next = scanItem(bytes, at);
    switch (next.item) {
      case "full":
        return { id: next.header.id, payloadAt: next.end };
      case "start":
        return "live-sections";
      case "continuation":
        return this.#isOpen(next.id) ? "live-sections" : "other";
      case "command":
        if (next.code === COMMAND_CODE.packaged) return "live-sections";
        return this.#behind(bytes, next.end, complete);
      case "end-mark":
        return this.#behindEndMark(bytes, next.end, complete);
      case "incomplete":
        // A stream that was cut off there: the section before is whole.
        return complete ? "end" : "incomplete";
      default:
        return "other";
    }
  }

  #behindEndMark(bytes: Uint8Array, at: number, complete: boolean): Behind {
    if (at === bytes.length) return complete ? "end" : "incomplete";
    if (bytes[at] !== SECTION_TYPE.vmDescription) return "other";
    if (at + DESCRIPTION_START_BYTES > bytes.length) return complete ? "end" : "incomplete";
    const length = be32(bytes, at + 1);
    return length <= this.#limits.maxVmDescriptionBytes && bytes[at + 5] === OPENING_BRACE ? "end" : "other";
  }
}

/** What stands behind a footer: an end, the next device section, or nothing that can stand there. */
type Behind = SearchEnd | "other" | { readonly id: number; readonly payloadAt: number };
