import type { Action } from "./actions.ts";
import type { GuestView } from "./guest-view.ts";

/** Looks at a migration in a second, and so frames that a page gets. */
export const FRAMES_PER_SECOND = 4;

/**
 * What a page sends: MessagePack, one map in each binary message. The first is a `login`, and nothing may come before it
 * is answered.
 */
export type FromPage =
  | { readonly kind: "login"; readonly token: string }
  /** Show the timeline and the memory of this guest. */
  | { readonly kind: "watch"; readonly guest: string | null }
  /** Answered by `done`. */
  | { readonly kind: "act"; readonly id: number; readonly guest: string; readonly action: Action };

/** What a page is sent. */
export type ToPage =
  | { readonly kind: "refused"; readonly message: string }
  | { readonly kind: "welcome"; readonly version: string }
  | Frame
  /** `error`: one sentence; null when it was carried out. */
  | { readonly kind: "done"; readonly id: number; readonly error: string | null };

/** What has changed since the last frame that this page got. */
export interface Frame {
  readonly kind: "frame";
  /** Milliseconds since 1970. */
  readonly at: number;
  readonly guests: readonly GuestView[];
  /** The ids of guests that are shown no longer. */
  readonly gone: readonly string[];
  /** Of the guest that is watched. */
  readonly watched: WatchedView | null;
}

export interface WatchedView {
  readonly guest: string;
  /** The points that are there are no longer true; those that follow are all. */
  readonly restart: boolean;
  readonly points: readonly Point[];
  /** Null when it has not changed. */
  readonly memory: MemoryView | null;
}

/**
 * One moment of a migration's timeline: seconds since it was accepted; bytes per second sent and dirtied; bytes that remain;
 * milliseconds of downtime predicted, and allowed. Null is not known.
 */
export type Point = readonly [
  time: number,
  sendRate: number,
  dirtyRate: number,
  remaining: number,
  downtime: number | null,
  downtimeLimit: number,
];

/** A MemoryPicture of shared-state. `cells` has three bytes for each cell. */
export interface MemoryView {
  readonly pagesPerCell: number;
  readonly blocks: readonly { readonly name: string; readonly pages: number; readonly cells: number }[];
  readonly cells: Uint8Array;
}
