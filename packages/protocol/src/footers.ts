import type { ByteReader } from "./byte-reader.ts";
import type { SectionHeader } from "./messages.ts";
import { footerMismatch, footerMissing } from "./refusals.ts";
import type { FooterUse } from "./stream-state.ts";
import { SECTION_TYPE } from "./wire.ts";

const FOOTER_BYTES = 5;

/** Reads what follows the payload of a section, and learns behind the first one whether sections have footers. */
export class Footers {
  #use: FooterUse;

  constructor(use: FooterUse) {
    this.#use = use;
  }

  get use(): FooterUse {
    return this.#use;
  }

  /** @returns whether the section is complete. Errors: BAD_FOOTER. */
  read({ name, id }: SectionHeader, input: ByteReader): boolean {
    if (this.#use === "absent") return true;
    if (input.available < 1) return false;
    if (input.peekU8() !== SECTION_TYPE.footer) {
      if (this.#use === "present") throw footerMissing(name);
      this.#use = "absent";
      return true;
    }
    if (input.available < FOOTER_BYTES) return false;
    input.u8();
    const read = input.be32();
    if (read !== id) throw footerMismatch(name, read, id);
    this.#use = "present";
    return true;
  }
}
