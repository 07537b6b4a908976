import type { Point } from "./messages.ts";

/** Points of a timeline. */
export const MOST_POINTS = 600;

/**
 * The timeline of one migration, from its beginning on, for pages that come later. When it is full every second point is
 * dropped, and from then on only every second one is taken: so a long migration has as many points as a short one.
 */
export class History {
  #points: Point[] = [];
  #step = 1;
  #skipped = 0;
  #generation = 0;

  /** Changes whenever points that were there are not there any more. */
  get generation(): number {
    return this.#generation;
  }

  get length(): number {
    return this.#points.length;
  }

  restart(): void {
    this.#points = [];
    this.#step = 1;
    this.#skipped = 0;
    this.#generation++;
  }

  /** Times rise. One that is not later than the last is not taken. */
  add(point: Point): void {
    const last = this.#points.at(-1);
    if (last !== undefined && point[0] <= last[0]) return;
    if (++this.#skipped < this.#step && last !== undefined) return;
    this.#skipped = 0;
    if (this.#points.length === MOST_POINTS) {
      this.#points = this.#points.filter((_, index) => index % 2 === 0);
      this.#step *= 2;
      this.#generation++;
    }
    this.#points.push(point);
  }

  /** The points from number `from` on. */
  since(from: number): readonly Point[] {
    return this.#points.slice(from);
  }
}
