import { advanceIncoming } from "@peregrine/shared-state";
import type { IncomingSample, IncomingSnapshot, IncomingState } from "@peregrine/shared-state";
import type { IncomingStatus } from "./incoming-result.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";

/** Between two looks, milliseconds: the rate is one of the last part of a second, whoever asks and how seldom. */
const PERIOD_MS = 500;

/** Looks at a guest that arrives, as long as it does. */
export class ArrivalProgress {
  readonly #sample: () => IncomingSample;
  #snapshot: IncomingSnapshot | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(sample: () => IncomingSample) {
    this.#sample = sample;
  }

  /** Looks now. */
  look(): IncomingSnapshot {
    this.#snapshot = advanceIncoming(this.#snapshot, this.#sample());
    return this.#snapshot;
  }

  /** The migration may have a new state. */
  changed(state: IncomingState): void {
    this.look();
    if (state === "active") {
      this.#timer ??= setInterval(() => this.look(), PERIOD_MS).unref();
      return;
    }
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** @param oneConnection whether all pages come on one, so that their order tells the passes. */
export function arrivalSample(
  status: IncomingStatus,
  statistics: IncomingStatistics,
  oneConnection: boolean,
): IncomingSample {
  const { bytes, pages, zeroPages, totalTime } = statistics.progress();
  return {
    state: status.kind,
    peer: "peer" in status ? status.peer : null,
    elapsed: totalTime,
    received: bytes,
    normalPages: pages,
    zeroPages,
    pass: oneConnection && statistics.sweeps > 0 ? statistics.sweeps : null,
  };
}
