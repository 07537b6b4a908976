/** Where something happened: in the source's process, in the destination's, or in neither. */
export type Place = "A" | "B" | " ";

/** Milliseconds since 1970, as precise as the timestamps of a monitor's events. */
export const wallClock = (): number => performance.timeOrigin + performance.now();

/** Prints what happens, a line each, with the seconds since the beginning. */
export class Timeline {
  readonly #start = wallClock();

  /** @param at when it happened, milliseconds since 1970. */
  say(place: Place, text: string, at: number = wallClock()): void {
    const seconds = ((at - this.#start) / 1000).toFixed(3).padStart(7);
    console.log(`${seconds} s  ${place}  ${text}`);
  }
}
