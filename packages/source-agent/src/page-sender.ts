import type {
  CapabilityStates,
  CarriedOpening,
  GuestRam,
  MigrationParameters,
  MigrationStatistics,
  PageMap,
  RamAccess,
} from "@peregrine/shared-state";
import type { Channel, ClientTls } from "@peregrine/transport";
import type { OutgoingStream } from "./outgoing-stream.ts";

/**
 * How pages of guest memory go out. `RamSender` says which ones and in which order, and writes the sections'
 * heads and ends; the page sender reads the pages and sends them.
 *
 * Calls come one after the other, each when the one before has ended:
 *
 *     start, endSection("start")
 *     for each turn:   beginSection("part", ...), run, run, ..., endSection("part")
 *     guest stopped:   beginSection("end", ...), run, run, ..., endSection("end")
 *     close
 *
 * `close` follows whatever came last, also a call that failed, and when the stream's end was sent: the
 * destination has confirmed, if it answers.
 *
 * What goes into the main stream, by `OutgoingStream.append`, lands in the payload of the section that is
 * open. What goes elsewhere is told to `OutgoingStream.count`. A page sender counts the pages in
 * `statistics.normal` and `statistics.duplicate`.
 */
export interface PageSender {
  /** Pages that the next run may have at most; at least 1. */
  readonly runPages: number;
  /** Sends the payload of the START section, up to what ends it: the list of RAM blocks. */
  start(): Promise<void>;
  /**
   * Begins the payload of a section.
   * @param kind `end`: the guest stands still, and no page comes twice from now on.
   * @param resend the dirty log was harvested since the last section, so pages that were sent may come again:
   *   they must not overtake what was sent before.
   */
  beginSection(kind: "part" | "end", resend: boolean): Promise<void> | undefined;
  /**
   * Sends `count` pages of a block from `page` on. Their bits are clear already: read them now or later, never
   * from before the call, and before the section has ended where another copy could overtake them.
   * @returns a promise when the caller has to wait before it goes on.
   */
  run(block: number, page: number, count: number): Promise<void> | undefined;
  /**
   * In front of the record that ends a section's payload. When it has ended the dirty log can be harvested again: every page was
   * read, or waits with the kept head in the main stream, which no later copy overtakes. After `end` every page is on its way.
   */
  endSection(kind: "start" | "part" | "end"): Promise<void> | undefined;
  /** Between two sections. Throws when something besides the main stream has broken that it sends by. */
  check?(): void;
  /** Rejects at that moment. It need not be handled. */
  readonly broken?: Promise<never>;
  /** Frees what it holds. */
  close(): Promise<void> | undefined;
}

export interface PageSenderOptions {
  readonly ram: GuestRam;
  /** Told which pages are zero. */
  readonly map: PageMap;
  readonly stream: OutgoingStream;
  /** Of the stream. Its bytes are written by the stream alone. */
  readonly channel: Channel;
  /** How the stream began. */
  readonly opening: CarriedOpening;
  readonly capabilities: CapabilityStates;
  readonly parameters: MigrationParameters;
  readonly statistics: MigrationStatistics;
  /** Opens `ram` in threads of the page sender's own. */
  readonly ramAccess: RamAccess;
  /** Where more connections to the destination can be made. */
  readonly uri: string;
  /** That they have. Undefined: none. */
  readonly tls?: ClientTls | undefined;
  /** How long each of them may take, milliseconds. */
  readonly connectTimeout: number;
  /** As that of a ChannelOptions. */
  readonly keepalive: number;
  /** Aborted when the attempt is given up. */
  readonly signal: AbortSignal;
  /** Milliseconds. */
  readonly now: () => number;
}
