// The guests and how to run them, from guests.json.

import { fileURLToPath } from "node:url";
import manifest from "./guests.json" with { type: "json" };

export interface GuestDirectory {
  /** The path under which the guest sees the directory. */
  readonly guest: string;
  /** A directory here that the guest only reads, or null: the guest needs a new, empty one. */
  readonly source: string | null;
}

export interface Guest {
  readonly name: string;
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly dirs?: readonly GuestDirectory[];
  /** What the guest reads before the end of its input. Without it, its input is empty. */
  readonly stdin?: string;
  /** The input is not given before the guest has run for this time, in ms. */
  readonly stdinAfterMs?: number;
  /** The exit status of an undisturbed run; 0 when it is left out. */
  readonly status?: number;
  readonly about: string;
}

/** For tests: a few seconds each. */
export const guests: readonly Guest[] = manifest.guests;

/** For demonstrations: 7 to 10 seconds each, with a line of output about every 20 to 40 ms. */
export const demos: readonly Guest[] = manifest.demos;

/** The absolute path of a file or directory named in the manifest. */
export function pathOf(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}
