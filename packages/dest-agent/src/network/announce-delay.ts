import type { AnnounceSchedule } from "@peregrine/shared-state";

/** Milliseconds between `round`, from 2 on, and the round before it. Never negative. */
export function announceDelay({ initial, max, step }: AnnounceSchedule, round: number): number {
  return Math.max(0, Math.min(initial + (round - 2) * step, max));
}
