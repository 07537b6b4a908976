/** How often an announcement is made, and when. Times are milliseconds. */
export interface AnnounceSchedule {
  /** Between the first round and the second. */
  readonly initial: number;
  /** The longest time between two rounds. */
  readonly max: number;
  readonly rounds: number;
  /** What the time between two rounds grows by with each round. */
  readonly step: number;
}

/** Milliseconds between `round`, from 2 on, and the round before it. Never negative. */
export function announceDelay({ initial, max, step }: AnnounceSchedule, round: number): number {
  return Math.max(0, Math.min(initial + (round - 2) * step, max));
}
