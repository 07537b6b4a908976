import type { Command, CutBy, SectionKind } from "@peregrine/protocol";
import type { PageCounts } from "./page-counts.ts";

/** Where in the stream something lies, in bytes from its first one. */
export interface Extent {
  readonly offset: number;
  readonly size: number;
}

/** A section, or one part of it. */
export interface SectionEvent extends Extent {
  readonly item: "section";
  readonly kind: SectionKind;
  readonly id: number;
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  readonly payloadBytes: number;
  readonly footer: boolean;
  /** Inside the package of a command. */
  readonly packaged: boolean;
  /** What told the length of a device section. */
  readonly cutBy?: CutBy;
  /** The page records in a section `ram`. */
  readonly ram?: PageCounts;
}

/** A command in the stream, or inside of a package. */
export interface CommandEvent extends Extent {
  readonly item: "command";
  readonly command: Command;
  readonly packaged: boolean;
}

/** Something in a stream, told when all of it was read. Events come in the order of their offsets. */
export type InspectEvent =
  | (Extent & { readonly item: "header"; readonly version: number })
  | (Extent & {
      readonly item: "configuration";
      readonly machineType: string;
      readonly targetPageBits?: number;
      readonly capabilities?: readonly string[];
      readonly uuid?: string;
    })
  | SectionEvent
  | CommandEvent
  | { readonly item: "package-end"; readonly offset: number }
  /** Device sections that nothing tells apart, up to the end mark; name and instance are those of the first. */
  | (Extent & { readonly item: "undivided"; readonly name: string; readonly instance: number })
  | (Extent & { readonly item: "end-mark" })
  | (Extent & { readonly item: "vmdescription"; readonly devices: number; readonly pageSize: number })
  /** What was being read when the reading ended before its time. */
  | (Extent & { readonly item: "unfinished"; readonly section?: string });
