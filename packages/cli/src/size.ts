const FACTORS: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const SIZE = /^(?<number>\d+(?:\.\d+)?)(?<suffix>[kmgt]?)$/iu;

/** Bytes from `1024`, `100k`, `64M` or `1.5G`; a suffix is a power of 1024. Undefined when it is none of these. */
export function parseSize(text: string): number | undefined {
  const groups = SIZE.exec(text)?.groups;
  if (groups === undefined) return undefined;
  const bytes = Math.round(Number(groups["number"]) * FACTORS[groups["suffix"]!.toLowerCase()]!);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

/** Bytes for a person: three significant digits and a binary unit. */
export function formatSize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  // 1023.5 would be printed as 1024.
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(value >= 100 ? 4 : 3))} ${UNITS[unit]}`;
}

export function formatRate(bytesPerSecond: number): string {
  return `${formatSize(bytesPerSecond)}/s`;
}

/** Milliseconds for a person. */
export function formatTime(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
