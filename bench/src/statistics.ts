/** Errors: RangeError when there are no values. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("there is no median of no values");
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function geometricMean(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("there is no mean of no values");
  return Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
}

/** Standard deviations that 95 of 100 normal values are within. */
const WITHIN_95 = 1.96;

/** Where the geometric mean of all such values lies, with a certainty of 95 %, as far as that many show it; from 2 on. */
export function meanInterval(values: readonly number[]): readonly [least: number, most: number] {
  const mean = Math.log(geometricMean(values));
  const squares = values.reduce((sum, value) => sum + (Math.log(value) - mean) ** 2, 0);
  const error = Math.sqrt(squares / (values.length - 1) / values.length);
  return [Math.exp(mean - WITHIN_95 * error), Math.exp(mean + WITHIN_95 * error)];
}

/** @param share from 0 to 1; the value that this share of all values does not exceed. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError("there is no percentile of no values");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(Math.ceil(share * sorted.length), sorted.length) - 1]!;
}
