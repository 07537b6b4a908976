import type { GuestView } from "../src/guest-view.ts";
import type { Frame, MemoryView, Point } from "../src/messages.ts";

/** Points that are drawn. */
const MOST_POINTS = 1200;

/** What the page knows. */
export class Store {
  readonly guests = new Map<string, GuestView>();
  /** Of the guest that is watched. */
  points: Point[] = [];
  memory: MemoryView | null = null;
  /** Rise with every change. */
  pointsRevision = 0;
  memoryRevision = 0;

  clear(): void {
    this.guests.clear();
    this.forgetWatched();
  }

  forgetWatched(): void {
    this.points = [];
    this.memory = null;
    this.pointsRevision++;
    this.memoryRevision++;
  }

  /** @param watched the guest that the page shows: what comes for another one is late. */
  apply(frame: Frame, watched: string | null): void {
    for (const guest of frame.guests) this.guests.set(guest.id, guest);
    for (const id of frame.gone) this.guests.delete(id);
    const view = frame.watched;
    if (view === null || view.guest !== watched) return;
    if (view.restart || view.points.length > 0) {
      this.points = view.restart ? [...view.points] : [...this.points, ...view.points].slice(-MOST_POINTS);
      this.pointsRevision++;
    }
    if (view.restart || view.memory !== null) {
      this.memory = view.memory;
      this.memoryRevision++;
    }
  }
}
