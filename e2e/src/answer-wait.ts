import { setTimeout as delay } from "node:timers/promises";
import type { PeregrineProcess } from "./agent-process.ts";
import { wallClock } from "./cpu-wait.ts";

const PERIOD_MS = 5;
/** What it takes in any case to ask, to answer and to wait for the next question. */
const USUAL_MS = 10;

/**
 * How long an agent did not answer or this process did not ask, for whatever reason: of a processor that is taken from
 * the machine itself, {@link CpuWait} knows nothing.
 */
export class AnswerWait implements Disposable {
  readonly #agent: PeregrineProcess;
  /** Milliseconds since 1970, from one question to the next. */
  readonly #turns: { readonly from: number; readonly until: number }[] = [];
  /** When the last question was asked. */
  #asked = wallClock();
  #ended = false;

  constructor(agent: PeregrineProcess) {
    this.#agent = agent;
    // An agent that is gone is seen by the test itself.
    this.#ask().catch(() => undefined);
  }

  /** Milliseconds between two times since 1970. */
  between(from: number, until: number): number {
    const last = { from: this.#asked, until: wallClock() };
    return [...this.#turns, last]
      .filter((turn) => turn.until > from && turn.from < until)
      .reduce((sum, turn) => sum + Math.max(0, turn.until - turn.from - USUAL_MS), 0);
  }

  [Symbol.dispose](): void {
    this.#ended = true;
  }

  async #ask(): Promise<void> {
    while (!this.#ended) {
      await this.#agent.execute("query-status");
      await delay(PERIOD_MS);
      const now = wallClock();
      this.#turns.push({ from: this.#asked, until: now });
      this.#asked = now;
    }
  }
}
