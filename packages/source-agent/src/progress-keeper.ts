import { advanceOutgoing, isUnderWay } from "@peregrine/shared-state";
import type { MigrationStatus, OutgoingSample, OutgoingSnapshot } from "@peregrine/shared-state";

/** Between two looks, milliseconds. */
const PERIOD_MS = 100;

/**
 * Looks at each migration as long as it is under way, so that whoever asks is told the same, and what depends on the
 * passes before is known to somebody who asks for the first time.
 */
export class ProgressKeeper {
  readonly #sample: (migration: number) => OutgoingSample | undefined;
  #migration = 0;
  #snapshot: OutgoingSnapshot | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** @param sample of the migration with this number; undefined before the first. */
  constructor(sample: (migration: number) => OutgoingSample | undefined) {
    this.#sample = sample;
  }

  /** Which migration the present or last one is, from 1 on; 0 before the first. */
  get migration(): number {
    return this.#migration;
  }

  /** Looks now. Undefined before the first migration. */
  look(): OutgoingSnapshot | undefined {
    const sample = this.#sample(this.#migration);
    if (sample !== undefined) this.#snapshot = advanceOutgoing(this.#snapshot, sample);
    return this.#snapshot;
  }

  /** The migration has a new state. */
  changed(status: MigrationStatus): void {
    if (status === "setup") this.#begin();
    this.look();
    if (isUnderWay(status)) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #begin(): void {
    this.#migration++;
    this.#timer ??= setInterval(() => this.look(), PERIOD_MS).unref();
  }
}
