import { PAGE_SIZE } from "@peregrine/shared-state";
import type { MigrationParameters, MigrationStatistics } from "@peregrine/shared-state";
import { LoopTurn } from "@peregrine/transport";
import type { LiveSection } from "./live-section.ts";
import { ACCOUNTING_PERIOD_MS, LoopAccounting } from "./loop-accounting.ts";
import type { LoopTotals } from "./loop-accounting.ts";

/** While the guest itself is arriving, what has come is collected for this long. Milliseconds. */
const ARRIVAL_PERIOD_MS = 10;

/** So few bytes are not worth another pass once the guest may be stopped. */
const SMALL_REST = 64 * PAGE_SIZE;

/**
 * How often the destination is waited for. The guest dirties memory meanwhile: over a long way to a destination that can
 * be more than the threshold each time.
 */
const MAX_CATCH_UPS = 8;

/** What the loop needs of the outgoing stream. */
export interface LimitedStream {
  readonly limitReached: boolean;
  readonly waitTime: number;
  resetPeriod(): void;
  flush(): Promise<void>;
}

export interface PrecopyLoopOptions {
  /** In the order in which they are sent. */
  readonly sections: readonly LiveSection[];
  readonly stream: LimitedStream;
  readonly parameters: MigrationParameters;
  readonly statistics: MigrationStatistics;
  /** Whether the destination has prepared everything that can be prepared before the last byte. */
  readonly destinationPrepared: () => boolean;
  /**
   * Resolves when the destination has loaded everything that was sent, and not only the kernels between have it: they
   * hold megabytes, which would be loaded while the guest stands still. Undefined where nobody can say so.
   */
  readonly caughtUp: (() => Promise<void>) | undefined;
  /** Whether all of the guest is here: one that is still arriving is sent on, and not stopped before. */
  readonly arrived: () => boolean;
  /** Whether the guest is to be stopped for what is left, however much it is. */
  readonly switchOverWanted: () => boolean;
  /** Throws when the migration was given up. */
  readonly check: () => void;
  /** Waits for the milliseconds given, or until something has changed. */
  readonly sleep: (ms: number) => Promise<void>;
  /** Milliseconds. */
  readonly now: () => number;
}

/** Sends live state while the guest runs, until so little is left that the guest can be stopped for it. */
export class PrecopyLoop {
  readonly #options: PrecopyLoopOptions;
  readonly #accounting: LoopAccounting;
  readonly #wireBytesBefore: number;
  #retiredBytes = 0;
  #idleTime = 0;
  #limit: number;
  /** Zeros, and deltas of pages that hardly change, are much work for few writes. */
  readonly #turn = new LoopTurn();
  /** The last turn left nothing of its pass. */
  #caughtUp = false;
  /** Least that was left, in bytes, when the guest could have been stopped. */
  #leastRest = Infinity;
  /** The destination has not said that it has loaded everything that was sent. */
  #underWay = true;
  #catchUps = 0;
  /** Of what was left when a destination that is not prepared was first waited for: bytes that are still to be sent. */
  #unsent: number | undefined;

  constructor(options: PrecopyLoopOptions) {
    this.#options = options;
    this.#accounting = new LoopAccounting(options.now());
    this.#wireBytesBefore = options.statistics.transferred;
    this.#limit = options.parameters.maxBandwidth;
  }

  /** Resolves when the guest is to be stopped. Errors: those of `check`, of the sections and of the stream. */
  async run(): Promise<void> {
    const { stream, sleep, check, arrived } = this.#options;
    for (;;) {
      check();
      this.#noticeNewLimit();
      if (!stream.limitReached) {
        if (!arrived()) await this.#forward();
        else if (await this.#converge()) return;
      }
      this.#account();
      if (stream.limitReached) {
        await stream.flush();
        await sleep(stream.waitTime);
      }
      await this.#turn.next();
      stream.resetPeriod();
    }
  }

  /** @returns whether so little is left that the guest can be stopped for it. */
  async #converge(): Promise<boolean> {
    const pending = this.#pending();
    const wanted = this.#options.switchOverWanted();
    if (pending > 0 && pending >= this.#threshold && !wanted) {
      // Until there is an estimate the threshold is 0, and each page would be sent as soon as it is dirtied.
      if (this.#caughtUp && !this.#estimate()) await this.#endPeriod();
      await this.#iterate(pending);
      return false;
    }
    if (!this.#options.destinationPrepared()) {
      await this.#useWait(pending);
      return false;
    }
    if (wanted) return true;
    // If it is not small, the first rest that could be left is sent in any case, and the destination is waited for behind it.
    const isSentFirst = this.#leastRest === Infinity && pending > SMALL_REST;
    if (!isSentFirst && (await this.#catchUp())) return false;
    if (!this.#dwindles(pending)) return true;
    await this.#iterate(pending);
    await this.#options.stream.flush();
    return false;
  }

  /**
   * While the destination is not prepared: sends as much as was left when that was seen first. More would be dirty again
   * when it counts.
   */
  async #useWait(pending: number): Promise<void> {
    this.#unsent ??= pending;
    if (pending <= SMALL_REST || this.#unsent <= 0) {
      await this.#idle(ACCOUNTING_PERIOD_MS);
      return;
    }
    const before = this.#retiredBytes;
    await this.#iterate(pending);
    this.#unsent -= this.#retiredBytes - before;
  }

  /** @returns whether the destination was waited for, so that there may be more to send now. */
  async #catchUp(): Promise<boolean> {
    const { caughtUp, now } = this.#options;
    if (!this.#underWay || caughtUp === undefined || this.#catchUps === MAX_CATCH_UPS) return false;
    const start = now();
    await caughtUp();
    this.#idleTime += now() - start;
    this.#underWay = false;
    this.#catchUps++;
    return true;
  }

  /**
   * The guest can be stopped for what is left, but as long as half of it at most is left each time, another pass
   * makes the downtime shorter. Halves are soon small.
   */
  #dwindles(rest: number): boolean {
    const dwindles = rest > SMALL_REST && rest <= this.#leastRest / 2;
    this.#leastRest = Math.min(this.#leastRest, rest);
    return dwindles;
  }

  /** Sends on what has come of the guest so far, and waits for more when that was all. */
  async #forward(): Promise<void> {
    const pending = this.#pending();
    if (pending > 0) await this.#iterate(pending);
    if (pending === 0 || this.#caughtUp) await this.#idle(ARRIVAL_PERIOD_MS);
  }

  /** Bytes that may be left when the guest is stopped. */
  get #threshold(): number {
    const { availSwitchoverBandwidth, downtimeLimit } = this.#options.parameters;
    // Whoever knows what the link can do when it counts knows better than the estimate.
    if (availSwitchoverBandwidth > 0) return (availSwitchoverBandwidth / 1000) * downtimeLimit;
    return this.#accounting.threshold(downtimeLimit);
  }

  #pending(maxSize = this.#threshold): number {
    return this.#options.sections.reduce((sum, section) => sum + section.pending(maxSize), 0);
  }

  /**
   * A section only gets its turn when those before it have nothing left, so that state that changes fast
   * is not sent over and over.
   */
  async #iterate(pending: number): Promise<void> {
    this.#underWay = true;
    for (const section of this.#options.sections) {
      if (!(await section.iterate())) break;
    }
    const left = this.#pending(-1);
    this.#retiredBytes += pending - left;
    this.#caughtUp = left === 0;
  }

  /** @returns whether there is an estimate, if need be one of less than a period. */
  #estimate(): boolean {
    const isKnown = this.#accounting.estimate(this.#options.now(), this.#totals);
    this.#tellRate();
    return isKnown;
  }

  #tellRate(): void {
    const { statistics } = this.#options;
    statistics.retireRate = this.#accounting.retireRate;
    statistics.threshold = this.#threshold;
  }

  async #endPeriod(): Promise<void> {
    const { stream, sleep, now } = this.#options;
    await stream.flush();
    await sleep(this.#accounting.timeLeft(now()));
  }

  async #idle(ms: number): Promise<void> {
    const { stream, sleep, now } = this.#options;
    const start = now();
    await stream.flush();
    await sleep(ms);
    this.#idleTime += now() - start;
  }

  get #totals(): LoopTotals {
    return {
      wireBytes: this.#options.statistics.transferred - this.#wireBytesBefore,
      retiredBytes: this.#retiredBytes,
      idleTime: this.#idleTime,
    };
  }

  #noticeNewLimit(): void {
    const { parameters, now } = this.#options;
    if (parameters.maxBandwidth === this.#limit) return;
    this.#limit = parameters.maxBandwidth;
    this.#accounting.forgetRate(now(), this.#totals);
  }

  #account(): void {
    const { statistics, now } = this.#options;
    const account = this.#accounting.update(now(), this.#totals, statistics.dirtyBytesRate);
    if (account === undefined) return;
    statistics.bandwidth = account.bandwidth;
    statistics.mbps = account.mbps;
    statistics.pagesPerSecond = account.pagesPerSecond;
    this.#tellRate();
    if (account.expectedDowntime !== undefined) {
      statistics.expectedDowntime = Math.round(account.expectedDowntime);
    }
  }
}
