import { PAGE_SIZE } from "@peregrine/shared-state";

/** Time between two accountings, milliseconds. */
export const ACCOUNTING_PERIOD_MS = 100;

/** A period with fewer bytes than this on the wire says nothing about the expected downtime. */
const MIN_WIRE_BYTES = 10_000;

/** The rate at which pages are retired is measured over at least this many bytes of guest memory. */
const MIN_RETIRED_BYTES = 64 * PAGE_SIZE;

/** What the loop has done since it began. */
export interface LoopTotals {
  /** Bytes of the stream sent. */
  readonly wireBytes: number;
  /** Bytes of guest memory made clean, whatever they cost on the wire. */
  readonly retiredBytes: number;
  /** Milliseconds in which there was nothing to send. */
  readonly idleTime: number;
}

/** The figures of one period. */
export interface Account {
  /** Bytes per millisecond on the wire. */
  readonly bandwidth: number;
  /** Megabits per second on the wire. */
  readonly mbps: number;
  /** Pages made clean per second. */
  readonly pagesPerSecond: number;
  /** Milliseconds; undefined when the period does not tell. */
  readonly expectedDowntime: number | undefined;
}

const NOTHING: LoopTotals = { wireBytes: 0, retiredBytes: 0, idleTime: 0 };

/**
 * The bandwidth estimate, and the threshold that follows from it: how many bytes may be left when the guest
 * is stopped.
 *
 * What is left is counted in whole pages of guest memory, so the threshold is too: it comes from the rate at
 * which pages are retired. A rate of wire bytes would fall when pages become cheap to send, and with it the
 * threshold, just when the migration could end.
 */
export class LoopAccounting {
  #periodStart: number;
  #atPeriodStart = NOTHING;
  /** Where the measurement of the retire rate began; it may take several periods. */
  #sampleStart: number;
  #atSampleStart = NOTHING;
  #retireRate = 0;

  /** @param now milliseconds. */
  constructor(now: number) {
    this.#periodStart = now;
    this.#sampleStart = now;
  }

  /** Bytes of guest memory made clean per millisecond of sending; 0 until it is known. */
  get retireRate(): number {
    return this.#retireRate;
  }

  /** Makes an estimate before the first period is over, if what was done tells. @returns whether there is one. */
  estimate(now: number, totals: LoopTotals): boolean {
    if (this.#retireRate === 0) this.#measureRetireRate(now, totals);
    return this.#retireRate > 0;
  }

  /** Milliseconds until the period is over. */
  timeLeft(now: number): number {
    return Math.max(this.#periodStart + ACCOUNTING_PERIOD_MS - now, 0);
  }

  /** Bytes that can be sent in the tolerated downtime. 0 until the rate is known. */
  threshold(downtimeLimitMs: number): number {
    return this.#retireRate * downtimeLimitMs;
  }

  /**
   * To be called again and again.
   * @param dirtyBytesRate bytes per second that the guest dirties; 0 when unknown.
   * @returns the figures of the period if it is over.
   */
  update(now: number, totals: LoopTotals, dirtyBytesRate: number): Account | undefined {
    const elapsed = now - this.#periodStart;
    if (elapsed < ACCOUNTING_PERIOD_MS) return undefined;
    this.#measureRetireRate(now, totals);
    const wireBytes = totals.wireBytes - this.#atPeriodStart.wireBytes;
    const retiredPages = (totals.retiredBytes - this.#atPeriodStart.retiredBytes) / PAGE_SIZE;
    this.#periodStart = now;
    this.#atPeriodStart = totals;
    const tells = dirtyBytesRate > 0 && wireBytes > MIN_WIRE_BYTES && this.#retireRate > 0;
    return {
      bandwidth: wireBytes / elapsed,
      mbps: (wireBytes * 8) / (elapsed / 1000) / 1_000_000,
      pagesPerSecond: (retiredPages * 1000) / elapsed,
      expectedDowntime: tells ? dirtyBytesRate / this.#retireRate : undefined,
    };
  }

  /** Drops the estimate: it was made under another bandwidth limit. */
  forgetRate(now: number, totals: LoopTotals): void {
    this.#retireRate = 0;
    this.#sampleStart = now;
    this.#atSampleStart = totals;
  }

  /** Idle time does not count: a guest that leaves nothing to send does not make the link slow. */
  #measureRetireRate(now: number, totals: LoopTotals): void {
    const retired = totals.retiredBytes - this.#atSampleStart.retiredBytes;
    const idle = totals.idleTime - this.#atSampleStart.idleTime;
    const busy = now - this.#sampleStart - idle;
    if (retired < MIN_RETIRED_BYTES || busy <= 0) return;
    this.#retireRate = retired / busy;
    this.#sampleStart = now;
    this.#atSampleStart = totals;
  }
}
