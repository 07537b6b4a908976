import type { IncomingProgress } from "./incoming-result.ts";

/** Where each counter is in the buffer. */
const AT = {
  bytes: 0,
  pages: 1,
  zeroPages: 2,
  firstByteAt: 3,
  lateDevicesTime: 4,
  endMarkAt: 5,
  answeredAt: 6,
  startedAt: 7,
  endedAt: 8,
} as const;

const COUNTERS = Object.keys(AT).length;

/** Milliseconds of a clock that all threads of the process share; `performance.now` has another zero in each. */
export function processClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * The counters of an incoming migration, in shared memory: the incoming thread writes them, the main
 * thread reads them at any time. Each is one aligned 64-bit float, so it is never read half written.
 */
export class IncomingStatistics {
  /** For opening the same counters in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #counters: Float64Array;

  constructor(buffer = new SharedArrayBuffer(COUNTERS * Float64Array.BYTES_PER_ELEMENT)) {
    this.buffer = buffer;
    this.#counters = new Float64Array(buffer, 0, COUNTERS);
  }

  addBytes(count: number): void {
    if (this.#counters[AT.firstByteAt] === 0) this.#counters[AT.firstByteAt] = processClock();
    this.#counters[AT.bytes]! += count;
  }

  addPages(count: number): void {
    this.#counters[AT.pages]! += count;
  }

  addZeroPages(count: number): void {
    this.#counters[AT.zeroPages]! += count;
  }

  /** @param milliseconds that it took. */
  lateDevicesLoaded(milliseconds: number): void {
    this.#counters[AT.lateDevicesTime] = milliseconds;
  }

  endMark(): void {
    this.#counters[AT.endMarkAt] = processClock();
  }

  /** The source has been told that it has lost its guest, or nobody was to be told. */
  answered(): void {
    this.#counters[AT.answeredAt] = processClock();
  }

  /** The guest was started, or left stopped as it arrived. */
  started(): void {
    this.#counters[AT.startedAt] = processClock();
  }

  /** The migration has ended, in whatever way. */
  ended(): void {
    this.#counters[AT.endedAt] = processClock();
  }

  progress(): IncomingProgress {
    const until = this.#counters[AT.endedAt]! || processClock();
    return {
      bytes: this.#counters[AT.bytes]!,
      pages: this.#counters[AT.pages]!,
      zeroPages: this.#counters[AT.zeroPages]!,
      totalTime: since(this.#counters[AT.firstByteAt]!, until),
      lateDevicesTime: this.#counters[AT.lateDevicesTime]!,
      startTime: since(this.#counters[AT.endMarkAt]!, this.#counters[AT.startedAt]!),
      afterAnswerTime: since(this.#counters[AT.answeredAt]!, this.#counters[AT.startedAt]!),
    };
  }
}

/** 0 as long as one of the two has not happened. */
function since(from: number, until: number): number {
  return from === 0 || until === 0 ? 0 : until - from;
}
