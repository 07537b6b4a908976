import type { GuestView } from "../src/guest-view.ts";

export interface GuestState {
  readonly text: string;
  /** How it is coloured; the text says the same. */
  readonly tone: "good" | "busy" | "quiet" | "bad";
}

const UNDER_WAY: ReadonlySet<string> = new Set(["setup", "active", "pre-switchover", "device", "cancelling"]);

export function isMigrating(guest: GuestView): boolean {
  return guest.link === "open" && guest.outgoing !== null && UNDER_WAY.has(guest.outgoing.state);
}

/** Whether a guest can be sent from here. */
export function canMigrate(guest: GuestView): boolean {
  return guest.link === "open" && !isMigrating(guest) && !guest.moved && guest.status !== "inmigrate";
}

/** What a guest does, in a word or two. */
export function guestState(guest: GuestView): GuestState {
  if (guest.link === "ended") return { text: guest.moved ? "moved away" : "ended", tone: "quiet" };
  if (guest.link === "lost") return { text: guest.pid === 0 ? "connecting" : "not answering", tone: "bad" };
  if (guest.owner === "undecided" && !isMigrating(guest)) return { text: "undecided", tone: "bad" };
  if (isMigrating(guest)) return { text: "migrating", tone: "busy" };
  if (guest.moved) return { text: "moved away", tone: "quiet" };
  if (guest.status === "inmigrate") {
    if (guest.incoming === "active") return { text: "arriving", tone: "busy" };
    return guest.incoming === "failed" ? { text: "failed", tone: "bad" } : { text: "awaited", tone: "quiet" };
  }
  if (guest.status === "running") return { text: "running", tone: "good" };
  return { text: guest.status, tone: "quiet" };
}
