/** In place of an ordinal: any function may be above the site, or none is. */
export const ABOVE = { any: -1, none: -2 } as const;

/** What the host has to know about the sites of a module to check saved frames. Each array has an entry for each site. */
export interface FrameSites {
  /** Bytes of its frame. */
  readonly frameBytes: Uint32Array;
  /** Ordinal of its function in the table of resume copies. */
  readonly ordinals: Uint32Array;
  /** Ordinal of the function whose frame is the next one inwards; see {@link ABOVE}. */
  readonly above: Int32Array;
  /** Ordinal of the function that every stack begins with; undefined when the program can never be unwound. */
  readonly entry: number | undefined;
}

/** What the host has to know about a rewritten module. Plain data. */
export interface RewrittenInfo {
  /** The guest's memory, in 64 KiB pages. */
  readonly memory: { readonly initial: number; readonly maximum: number };
  /** Where the active data segments go, written once before the guest starts. */
  readonly segments: readonly { readonly address: number; readonly bytes: Uint8Array }[];
  readonly sites: FrameSites;
  /** Bytes of all mutable globals together. */
  readonly globalBytes: number;
  /** Passive data segments and element segments: how many bytes of CONTROL.dropped mean something. */
  readonly droppable: number;
  /** Numbers of the tables whose content the module can change; it travels as function indexes. */
  readonly changingTables: readonly number[];
}

/** A program that can be left and continued, as two modules with the same sites and frames. */
export interface Rewritten {
  /** Runs while the guest is not migrating. */
  readonly plain: Uint8Array;
  /** The same with dirty marks. Frames of one fit the other. */
  readonly tracked: Uint8Array;
  readonly info: RewrittenInfo;
}
