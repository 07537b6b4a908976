/**
 * What a guest's downtime was made of, as its source sees it. Milliseconds, in the order in which the parts came; their
 * sum is the total. When the guest has begun to run is not among them: the destination starts it after it has
 * confirmed, and only the destination knows how long that took.
 */
export interface DowntimeBreakdown {
  /** From the request until the guest stood still. */
  readonly stop: number;
  /** Until the migration was continued, with the capability pause-before-switchover. */
  readonly pause: number;
  /** Taking the last of the dirty log. */
  readonly harvest: number;
  /** Sending the last pages, and the last chunks of drives. The devices are saved meanwhile. */
  readonly lastPages: number;
  /** What was left of saving the devices, releasing the drives, and sending the devices and the end of the stream. */
  readonly deviceState: number;
  /** From the last byte sent until the destination's confirmation; without one, until the stream was ended. */
  readonly load: number;
  /** From the request to stop until the end of {@link load}. */
  readonly total: number;
}

export type DowntimePart = Exclude<keyof DowntimeBreakdown, "total">;

/** Measures a {@link DowntimeBreakdown}. Begins when it is made. */
export class DowntimeMeter {
  readonly #now: () => number;
  readonly #parts = { stop: 0, pause: 0, harvest: 0, lastPages: 0, deviceState: 0, load: 0 };
  /** Until here all time is in a part. */
  #until: number;

  /** @param now milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#until = now();
  }

  /** The time since the last mark belongs to `part`, but `pause` milliseconds in which it waited to be continued. */
  mark(part: DowntimePart, pause = 0): void {
    const now = this.#now();
    this.#parts[part] += now - this.#until - pause;
    this.#parts.pause += pause;
    this.#until = now;
  }

  breakdown(): DowntimeBreakdown {
    const total = Object.values(this.#parts).reduce((sum, part) => sum + part, 0);
    return { ...this.#parts, total };
  }
}
