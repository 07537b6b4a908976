const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

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

/** Bytes per second for a person. */
export function formatRate(bytesPerSecond: number): string {
  return `${formatSize(bytesPerSecond)}/s`;
}

/** Milliseconds for a person. */
export function formatTime(ms: number): string {
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}

/** Milliseconds that are estimated, for a person: no digit that nobody can know. */
export function formatEstimate(ms: number): string {
  if (ms < 950) return "less than a second";
  if (ms < 2 * MINUTE_MS) return `about ${Math.round(ms / 1000)} s`;
  if (ms < 2 * HOUR_MS) return `about ${Math.round(ms / MINUTE_MS)} min`;
  return `about ${Math.round(ms / HOUR_MS)} h`;
}
