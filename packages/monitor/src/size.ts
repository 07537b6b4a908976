const SUFFIXES = ["b", "k", "m", "g", "t", "p", "e"] as const;
const SIZE = /^(?<number>\d+(?:\.\d+)?)(?<suffix>[bkmgtpe]?)$/iu;

/** The unit of a number without a suffix. */
type SizeUnit = (typeof SUFFIXES)[number];

/**
 * Bytes from `1024`, `100k`, `64M` or `1.5G`; each suffix is a power of 1024.
 * @param unit of a number without a suffix.
 * @returns undefined when it is no such text, or more than a number can count.
 */
export function parseSize(text: string, unit: SizeUnit = "b"): number | undefined {
  const groups = SIZE.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const suffix = (groups["suffix"]!.toLowerCase() || unit) as SizeUnit;
  const bytes = Math.round(Number(groups["number"]) * 1024 ** SUFFIXES.indexOf(suffix));
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
