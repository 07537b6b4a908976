import { setTimeout as delay } from "node:timers/promises";

/** How long an agent whose guest has moved away stays at most for clients to ask how it went. Milliseconds. */
const PATIENCE_MS = 5000;

/** Who has observed the agent in this time looks again and again, as a dashboard does. Milliseconds. */
const OBSERVED_MS = 3000;

/** Those who ask how a migration goes: the agent does not take their connection away before they know how it ended. */
export class OutcomeReaders {
  #asked = Promise.withResolvers<void>();
  #observed = Promise.withResolvers<void>();
  #observedAt = -Infinity;
  readonly #patience: number;

  /** @param patience milliseconds that are waited at most. */
  constructor(patience = PATIENCE_MS) {
    this.#patience = patience;
  }

  /** A migration begins. */
  begin(): void {
    this.#asked = Promise.withResolvers();
    this.#observed = Promise.withResolvers();
  }

  /** Somebody was told. @param isOver whether the migration has completed. */
  asked(isOver: boolean): void {
    if (isOver) this.#asked.resolve();
  }

  /** The same of somebody who looks again and again. */
  observed(isOver: boolean): void {
    this.#observedAt = performance.now();
    if (isOver) this.#observed.resolve();
  }

  /** The migration has completed: resolves when somebody has asked, and whoever observes has seen it. */
  async known(): Promise<void> {
    const isObserved = performance.now() - this.#observedAt < OBSERVED_MS;
    const read = Promise.all([this.#asked.promise, isObserved ? this.#observed.promise : undefined]);
    await Promise.race([read, delay(this.#patience)]);
  }
}
