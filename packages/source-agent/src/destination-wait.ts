import { MigrationError } from "@peregrine/protocol";

/** So much can lie in the kernels between the two ends, which takes its time on a slow link. */
const IN_FLIGHT_BYTES = 16 * 1024 * 1024;

export interface DestinationWaitOptions {
  /** As error texts name the destination. */
  readonly peer: string;
  /** Longest that a destination which does not speak up is waited for, milliseconds. */
  readonly limit: number;
  /** Whether the destination says of itself that it lives: it may take as long as it likes then. */
  readonly speaksUp: () => boolean;
  /** Bytes that the link takes in a millisecond; 0 while that is not known. */
  readonly bandwidth: () => number;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * Waits for a destination while the guest runs on. One that has QEMU's protocol alone cannot be told from a dead one while
 * it owes an answer, and pages would be sent to it for ever.
 */
export class DestinationWait {
  readonly #options: DestinationWaitOptions;
  /** Since when nothing else is missing. */
  #since: number | undefined;

  constructor(options: DestinationWaitOptions) {
    this.#options = options;
  }

  /**
   * Called as often as nothing else is missing than that the destination is prepared. @returns `prepared`.
   * Errors: PEER_SILENT when it was not for too long.
   */
  isOver(prepared: boolean): boolean {
    if (prepared) return true;
    const { limit, speaksUp, now } = this.#options;
    this.#since ??= now();
    if (now() - this.#since > limit && !speaksUp()) throw this.#silent(limit, "that it can take over");
    return false;
  }

  /** Resolves with `answer`, which comes behind all that was sent. Errors: PEER_SILENT when that takes too long. */
  async until(answer: Promise<void>): Promise<void> {
    const { limit, speaksUp, bandwidth } = this.#options;
    const rate = bandwidth();
    const most = limit + (rate > 0 ? IN_FLIGHT_BYTES / rate : 0);
    const late = Promise.withResolvers<void>();
    const timer = setTimeout(() => {
      if (!speaksUp()) late.reject(this.#silent(most, "that it has loaded what was sent"));
    }, most);
    try {
      await Promise.race([answer, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #silent(ms: number, what: string): MigrationError {
    const { peer } = this.#options;
    const text = `The destination '${peer}' has not said for ${Math.round(ms / 100) / 10} s ${what}: it is dead, frozen or cut off`;
    return new MigrationError("PEER_SILENT", text);
  }
}
