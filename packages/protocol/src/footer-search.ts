import type { Limits } from "./limits.ts";
import type { SectionHeader } from "./messages.ts";
import { be32, isFooter, scanItem } from "./section-scan.ts";
import { COMMAND_CODE, SECTION_TYPE } from "./wire.ts";

/** What will come behind the bytes at hand. `quiet`: nothing has for a while, though the stream has not ended. */
export type TailInput = "more" | "quiet" | "end-of-stream" | "end-of-package";

/** Why the search has stopped. */
export type SearchEnd =
  /** More bytes are needed. */
  | "incomplete"
  /** The end mark, or the end of the package. */
  | "end"
  /** Sections that tell their own length follow. */
  | "live-sections";

const FOOTER_BYTES = 5;
/** Type and length. */
const DESCRIPTION_HEAD_BYTES = 5;
const OPENING_BRACE = 0x7b;
/** Commands that may stand between two sections. Real streams have three; more are read anew with every footer tried. */
const MAX_COMMANDS = 64;

export interface FooterSearchOptions {
  /** The header in front of the bytes. */
  readonly first: SectionHeader;
  readonly limits: Limits;
  /** Whether a START section has the id and no END yet. */
  readonly isOpen: (id: number) => boolean;
}

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

  constructor(options: FooterSearchOptions) {
    this.#id = options.first.id;
    this.#limits = options.limits;
    this.#isOpen = options.isOpen;
  }

  /** Bytes of the payloads found so far, in order. */
  get lengths(): readonly number[] {
    return this.#lengths;
  }

  /**
   * @param bytes everything on hand from the first payload on.
   * @param behind with `quiet` only a stream that is whole has an `end`.
   */
  search(bytes: Uint8Array, behind: TailInput): SearchEnd {
    while (this.#end === "incomplete") {
      const at = bytes.indexOf(SECTION_TYPE.footer, this.#scanAt);
      if (at < 0) {
        this.#scanAt = bytes.length;
        break;
      }
      this.#scanAt = at;
      const footer = isFooter(bytes, at, this.#id);
      if (footer === undefined) break;
      const next = footer ? this.#behind(bytes, at + FOOTER_BYTES, behind) : "other";
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

  #behind(bytes: Uint8Array, at: number, behind: TailInput, commands = 0): Behind {
    if (at === bytes.length) return CUT_OFF[behind];
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
        if (commands === MAX_COMMANDS) return "other";
        return this.#behind(bytes, next.end, behind, commands + 1);
      case "end-mark":
        return this.#behindEndMark(bytes, next.end, behind);
      case "incomplete":
        return CUT_OFF[behind];
      default:
        return "other";
    }
  }

  #behindEndMark(bytes: Uint8Array, at: number, behind: TailInput): Behind {
    if (at === bytes.length) return behind === "quiet" ? "end" : CUT_OFF[behind];
    if (bytes[at] !== SECTION_TYPE.vmDescription) return "other";
    const json = at + DESCRIPTION_HEAD_BYTES;
    if (json >= bytes.length) return CUT_OFF[behind];
    const length = be32(bytes, at + 1);
    if (length > this.#limits.maxVmDescriptionBytes || bytes[json] !== OPENING_BRACE) return "other";
    return behind === "quiet" && json + length !== bytes.length ? "other" : "end";
  }
}

/** What stands behind a footer: an end, the next device section, or nothing that can stand there. */
type Behind = SearchEnd | "other" | { readonly id: number; readonly payloadAt: number };

/** What a footer with too little behind it is. In a stream that was cut off there, the section before is whole. */
const CUT_OFF: Record<TailInput, Behind> = {
  more: "incomplete",
  quiet: "other",
  "end-of-stream": "end",
  "end-of-package": "end",
};
