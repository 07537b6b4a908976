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

/** A command on the forward stream. Codes without a shape of their own keep their payload as bytes. */
export type Command =
  | { readonly kind: "open-return-path" }
  | { readonly kind: "ping"; readonly value: number }
  | { readonly kind: "other"; readonly code: number; readonly payload: Uint8Array };

/** A message on the return path, from the destination to the source. */
export type ReturnMessage =
  /** The destination is done. `status` 0: everything is loaded. */
  | { readonly kind: "shut"; readonly status: number }
  /** The answer to a ping. */
  | { readonly kind: "pong"; readonly value: number };

/** An entry of the RAM block list. `length` in bytes, a multiple of the page size. */
export interface RamBlockEntry {
  readonly name: string;
  readonly length: number;
}
