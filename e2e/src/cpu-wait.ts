import { readFileSync } from "node:fs";

const SAMPLE_MS = 5;

interface Sample {
  /** Milliseconds since 1970. */
  readonly at: number;
  /** Milliseconds that the thread has waited for a processor until then. */
  readonly waited: number;
}

/** Milliseconds since 1970, with a fraction. */
export function wallClock(): number {
  return performance.timeOrigin + performance.now();
}

/**
 * How long the main thread of a process could not run although it wanted to, because others had the processors. What
 * a test allows for the time of an event, it allows besides that: so it holds on a busy machine as well.
 */
export class CpuWait implements Disposable {
  readonly #path: string;
  readonly #samples: Sample[] = [];
  readonly #timer: NodeJS.Timeout;

  constructor(pid: number) {
    this.#path = `/proc/${pid}/schedstat`;
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS);
    this.#sample();
  }

  /** Milliseconds between two times since 1970, and a few more around them. */
  between(from: number, until: number): number {
    this.#sample();
    const before = this.#samples.findLast(({ at }) => at < from - SAMPLE_MS) ?? this.#samples[0]!;
    const after = this.#samples.find(({ at }) => at > until + SAMPLE_MS) ?? this.#samples.at(-1)!;
    return after.waited - before.waited;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #sample(): void {
    const [, waited] = readFileSync(this.#path, "utf8").split(" ");
    this.#samples.push({ at: wallClock(), waited: Number(waited) / 1e6 });
  }
}
