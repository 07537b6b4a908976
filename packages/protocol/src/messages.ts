/** The configuration section, which follows the stream header. */
export interface Configuration {
  readonly machineType: string;
  /** log2 of the page size; sent only when it is not the target's smallest. */
  readonly targetPageBits?: number;
  /** Capabilities that both ends must have set alike. */
  readonly capabilities?: readonly string[];
  /** 16 bytes. */
  readonly uuid?: Uint8Array;
}

/** What a section's first byte says: the beginning, a part or the end of one that comes in parts, or a whole one. */
export type SectionKind = "start" | "part" | "end" | "full";

/** What names a section. PART and END carry only the id on the wire; the rest comes from their START. */
export interface SectionHeader {
  readonly kind: SectionKind;
  /** Links PART, END and footers to their START. Says nothing about what the section is. */
  readonly id: number;
  readonly name: string;
  readonly instance: number;
  readonly version: number;
}

/** A run of bytes in a RAM block. */
export interface RamRange {
  readonly start: number;
  readonly length: number;
}

/** A command on the forward stream. Codes without a shape of their own keep their payload as bytes. */
export type Command =
  | { readonly kind: "open-return-path" }
  | { readonly kind: "ping"; readonly value: number }
  /** Postcopy may follow. Without page sizes only dirty bitmaps are sent after the switch. */
  | { readonly kind: "postcopy-advise"; readonly pageSizes?: PostcopyPageSizes }
  | { readonly kind: "postcopy-listen" }
  | { readonly kind: "postcopy-run" }
  /** Pages that were sent and have changed since: the destination forgets them. */
  | { readonly kind: "postcopy-ram-discard"; readonly block: string; readonly ranges: readonly RamRange[] }
  /** The next `length` bytes hold sections and commands, without a header and without an end mark. */
  | { readonly kind: "packaged"; readonly length: number }
  | { readonly kind: "enable-colo" }
  | { readonly kind: "postcopy-resume" }
  /** Asks which pages of the block have arrived. */
  | { readonly kind: "recv-bitmap"; readonly block: string }
  | { readonly kind: "switchover-start" }
  /** Ours: who has the guest is said explicitly. See docs/handover.md. */
  | { readonly kind: "hand-over"; readonly step: HandOverStep; readonly migration: MigrationId }
  /** Ours: nothing else was to be said. */
  | { readonly kind: "alive" }
  | { readonly kind: "other"; readonly code: number; readonly payload: Uint8Array };

/** The payload of POSTCOPY_ADVISE. */
export interface PostcopyPageSizes {
  /** The page sizes of all RAM blocks, combined with OR. */
  readonly summary: number;
  /** Bytes of a page of the target. */
  readonly target: number;
}

/** A message on the return path, from the destination to the source. */
export type ReturnMessage =
  /** The destination is done. `status` 0: everything is loaded. */
  | { readonly kind: "shut"; readonly status: number }
  /** The answer to a ping. */
  | { readonly kind: "pong"; readonly value: number }
  /** Pages that the guest waits for, in bytes. Without a block, they lie in the block of the request before. */
  | {
      readonly kind: "request-pages";
      readonly block?: string;
      readonly start: number;
      readonly length: number;
    }
  /** The pages of a block that have arrived: page n is bit n % 8 of byte n / 8, padded to 8 bytes. */
  | { readonly kind: "recv-bitmap"; readonly block: string; readonly bitmap: Uint8Array }
  | { readonly kind: "resume-ack"; readonly value: number }
  | { readonly kind: "switchover-ack" }
  /** Ours: everything has come, and nothing keeps the guest from being started. */
  | { readonly kind: "loaded"; readonly migration: MigrationId }
  /** Ours: nothing else was to be said. */
  | { readonly kind: "alive" }
  /** Ours: why the load has failed, in words; SHUT follows. */
  | { readonly kind: "reason"; readonly text: string };

/** 16 random bytes as 32 hexadecimal digits. */
export type MigrationId = string;

/**
 * `offer`: the destination has to wait for a decision when it has loaded everything. `give`: the guest is the
 * destination's. `keep`: it stays at the source.
 */
export type HandOverStep = "offer" | "give" | "keep";

/** An entry of the RAM block list. `length` in bytes, a multiple of the page size. */
export interface RamBlockEntry {
  readonly name: string;
  readonly length: number;
}
