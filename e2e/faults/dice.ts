import type { Random } from "../src/random.ts";

/** Random choices. */
export class Dice {
  readonly #random: Pick<Random, "next">;

  constructor(random: Pick<Random, "next">) {
    this.#random = random;
  }

  /** At least `from`, less than `to`. */
  whole(from: number, to: number): number {
    return from + Math.floor(this.#random.next() * (to - from));
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.whole(0, choices.length)]!;
  }

  weighted<T>(choices: readonly (readonly [weight: number, choice: T])[]): T {
    let left = this.#random.next() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      left -= weight;
      if (left < 0) return choice;
    }
    return choices.at(-1)![1];
  }
}
