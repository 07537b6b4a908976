import type { MigrationParameters } from "@peregrine/shared-state";

/** So many periods one after the other tell that a guest is too fast. */
const PERIODS_THAT_TELL = 2;

/** The time between two computations of the dirty rate. */
export interface DirtyPeriod {
  /** Bytes of the pages that the guest has dirtied. */
  readonly dirtiedBytes: number;
  /** Bytes of guest memory sent, whatever they cost on the wire: the dirtied ones are counted in the same way. */
  readonly sentBytes: number;
}

/** How far a guest is throttled, and whether it is about to be throttled more. */
export interface ThrottleState {
  /** Percentage of time that the guest is kept from running. */
  readonly percentage: number;
  /** The last periods in which it was too fast, and for which it was not slowed down yet. */
  readonly tooFast: number;
}

export type ThrottleSettings = Pick<
  MigrationParameters,
  | "throttleTriggerThreshold"
  | "cpuThrottleInitial"
  | "cpuThrottleIncrement"
  | "cpuThrottleTailslow"
  | "maxCpuThrottle"
>;

export const UNTHROTTLED: ThrottleState = { percentage: 0, tooFast: 0 };

/**
 * The decision of auto-converge: a guest that has dirtied more than a share of what was sent, twice in a row, is
 * throttled, and each time after that a step more.
 */
export function nextThrottle(
  { percentage, tooFast }: ThrottleState,
  period: DirtyPeriod,
  settings: ThrottleSettings,
): ThrottleState {
  const mayDirty = (period.sentBytes * settings.throttleTriggerThreshold) / 100;
  if (period.dirtiedBytes <= mayDirty) return { percentage, tooFast: 0 };
  if (tooFast + 1 < PERIODS_THAT_TELL) return { percentage, tooFast: tooFast + 1 };
  if (percentage === 0) return firstThrottle(settings);
  const enough = settings.cpuThrottleTailslow
    ? stepThatIsEnough(percentage, mayDirty / period.dirtiedBytes)
    : Infinity;
  const more = percentage + Math.min(enough, settings.cpuThrottleIncrement);
  return { percentage: Math.min(more, settings.maxCpuThrottle), tooFast: 0 };
}

/** The throttle that a guest is given first. */
export function firstThrottle({ cpuThrottleInitial, maxCpuThrottle }: ThrottleSettings): ThrottleState {
  return { percentage: Math.min(cpuThrottleInitial, maxCpuThrottle), tooFast: 0 };
}

/** By how much a guest has to be throttled more to dirty only `part` of what it does now. At least 1. */
function stepThatIsEnough(percentage: number, part: number): number {
  const runs = 100 - percentage;
  return Math.max(Math.ceil(runs - runs * part), 1);
}

export interface AutoConvergeOptions {
  readonly settings: ThrottleSettings;
  /** Whether the guest is to be throttled when it is too fast. */
  readonly isOn: boolean;
  /** Whether it is to be throttled in any case, from the next computation on. */
  readonly isWanted: () => boolean;
  /** Keeps the guest from running for a percentage of the time. */
  readonly throttle: (percentage: number) => void;
}

/** Slows down a guest that dirties memory faster than it can be sent. */
export class AutoConverge {
  readonly #options: AutoConvergeOptions;
  #state = UNTHROTTLED;

  constructor(options: AutoConvergeOptions) {
    this.#options = options;
  }

  /** To be called whenever the dirty rate is computed. */
  periodOver(period: DirtyPeriod): void {
    const { isOn, isWanted, settings, throttle } = this.#options;
    const wanted = isWanted();
    if (!isOn && !wanted) return;
    const before = this.#state.percentage;
    const begins = wanted && before === 0;
    this.#state = begins ? firstThrottle(settings) : nextThrottle(this.#state, period, settings);
    if (this.#state.percentage !== before) throttle(this.#state.percentage);
  }
}
