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
  sweeps: 9,
} as const;

/** Of one writer. */
const COUNTERS = Object.keys(AT).length;

/** The incoming thread, which is the first, and one for each of the most multifd channels. */
const WRITERS = 256;

/** Milliseconds of a clock that all threads of the process share; `performance.now` has another zero in each. */
export function processClock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/**
 * The counters of an incoming migration, in shared memory: the incoming thread and those of multifd channels write
 * them, each its own; the main thread reads them at any time. Each is one aligned 64-bit float, so it is never read
 * half written.
 */
export class IncomingStatistics {
  /** For opening the same counters in another thread. */
  readonly buffer: SharedArrayBuffer;
  readonly #all: Float64Array;
  readonly #counters: Float64Array;

  /** @param writer whose counters are written to: 0, or from 1 on those of multifd channels. */
  constructor(
    buffer = new SharedArrayBuffer(WRITERS * COUNTERS * Float64Array.BYTES_PER_ELEMENT),
    writer = 0,
  ) {
    this.buffer = buffer;
    this.#all = new Float64Array(buffer);
    this.#counters = this.#all.subarray(writer * COUNTERS, (writer + 1) * COUNTERS);
  }

  addBytes(count: number): void {
    if (this.#counters[AT.firstByteAt] === 0) this.#counters[AT.firstByteAt] = processClock();
    this.#counters[AT.bytes]! += count;
  }

  /** Received, of all writers. */
  get bytes(): number {
    return this.#sum(AT.bytes);
  }

  addPages(count: number): void {
    this.#counters[AT.pages]! += count;
  }

  addZeroPages(count: number): void {
    this.#counters[AT.zeroPages]! += count;
  }

  /** Pages begin to come from the front again. */
  addSweep(): void {
    this.#counters[AT.sweeps]! += 1;
  }

  /** Sweeps over memory that have begun, of the first writer: on one connection, the passes of the source. */
  get sweeps(): number {
    return this.#all[AT.sweeps]!;
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
      bytes: this.#sum(AT.bytes),
      pages: this.#sum(AT.pages),
      zeroPages: this.#sum(AT.zeroPages),
      totalTime: since(this.#firstByteAt, until),
      lateDevicesTime: this.#counters[AT.lateDevicesTime]!,
      startTime: since(this.#counters[AT.endMarkAt]!, this.#counters[AT.startedAt]!),
      // A guest that is handed over may start before the source is told.
      afterAnswerTime: Math.max(since(this.#counters[AT.answeredAt]!, this.#counters[AT.startedAt]!), 0),
    };
  }

  #sum(counter: number): number {
    let sum = 0;
    for (let at = counter; at < this.#all.length; at += COUNTERS) sum += this.#all[at]!;
    return sum;
  }

  /** Of the first writer that has any; 0 when none has. */
  get #firstByteAt(): number {
    let first = 0;
    for (let at: number = AT.firstByteAt; at < this.#all.length; at += COUNTERS) {
      const time = this.#all[at]!;
      if (time !== 0 && (first === 0 || time < first)) first = time;
    }
    return first;
  }
}

/** 0 as long as one of the two has not happened. */
function since(from: number, until: number): number {
  return from === 0 || until === 0 ? 0 : until - from;
}
