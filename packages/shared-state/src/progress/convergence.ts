import { PAGE_SIZE } from "../machine.ts";

/** What the time that is left follows from. Bytes, and bytes per second. */
export interface ConvergenceInput {
  /** Dirty and not sent yet, of drives, too. */
  readonly remaining: number;
  /** What this pass had to send when it began, and the one before it; 0 if there was none. */
  readonly passTotal: number;
  readonly passBefore: number;
  readonly retireRate: number;
  readonly dirtyRate: number;
  /** What may be left when the guest is stopped. */
  readonly threshold: number;
}

/**
 * Milliseconds until the guest runs at the destination, if it goes on like this: each pass sends what was dirtied during
 * the one before it, so passes are a geometric series that ends at the threshold. By how much they shrink follows from
 * the rates, and is seen by the last two passes; what is less favourable counts. A guest that writes to the same pages
 * over and over has a dirty rate that falls the longer a pass takes, and the rates alone would be hope.
 * @returns null when it does not end, or when the rates do not tell.
 */
export function timeLeft(input: ConvergenceInput): number | null {
  const { remaining, passTotal, passBefore, retireRate, dirtyRate } = input;
  if (!(retireRate > 0)) return null;
  const enough = Math.max(input.threshold, PAGE_SIZE);
  const seen = passBefore > 0 && dirtyRate > 0 ? passTotal / passBefore : 0;
  const shrinks = Math.max(dirtyRate / retireRate, seen);
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
