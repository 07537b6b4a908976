import { PAGE_SIZE } from "../machine.ts";

/** What the time that is left follows from. Bytes, and bytes per second. */
export interface ConvergenceInput {
  /** Dirty and not sent yet, of drives, too. */
  readonly remaining: number;
  /** What this pass had to send when it began. */
  readonly passTotal: number;
  readonly retireRate: number;
  readonly dirtyRate: number;
  /** What may be left when the guest is stopped. */
  readonly threshold: number;
}

/**
 * Milliseconds until the guest runs at the destination, if the rates stay as they are: each pass sends what was
 * dirtied during the one before it, so passes are a geometric series that ends at the threshold.
 * @returns null when it does not end, or when the rates do not tell.
 */
export function timeLeft(input: ConvergenceInput): number | null {
  const { remaining, passTotal, retireRate, dirtyRate } = input;
  if (!(retireRate > 0)) return null;
  const enough = Math.max(input.threshold, PAGE_SIZE);
  const shrinks = dirtyRate / retireRate;
  const next = passTotal * shrinks;
  const bytes = remaining + laterPasses(next, shrinks, enough);
  return finite((bytes / retireRate) * 1000);
}

/** JSON knows no other numbers. */
export function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Bytes of all passes behind this one; the last one is that for which the guest is stopped. */
function laterPasses(next: number, shrinks: number, enough: number): number {
  if (next <= enough) return next;
  if (shrinks >= 1) return Infinity;
  const beforeLast = Math.ceil(Math.log(enough / next) / Math.log(shrinks));
  return (next * (1 - shrinks ** (beforeLast + 1))) / (1 - shrinks);
}
