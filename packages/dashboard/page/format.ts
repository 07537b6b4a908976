import { formatRate } from "@peregrine/shared-state/units";

/** Bytes per second for a person; null is not known. */
export function rate(bytesPerSecond: number | null): string {
  return bytesPerSecond === null ? "–" : formatRate(bytesPerSecond);
}

/** Milliseconds for a person; null is not known. */
export function time(ms: number | null): string {
  if (ms === null) return "–";
  if (ms > 0 && ms < 10 && !Number.isInteger(ms)) return `${ms.toFixed(1)} ms`;
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
}

/** A part of 1, never rounded up to all of it. */
export function percent(part: number): string {
  return `${Math.floor(part * 1000) / 10} %`;
}

const SUFFIXES: Readonly<Record<string, number>> = { "": 1, K: 2 ** 10, M: 2 ** 20, G: 2 ** 30, T: 2 ** 40 };

/** What a person writes for bytes per second: `64M`, `1.5 GiB/s`, `0` or nothing for unlimited. Undefined is not understood. */
export function parseRate(text: string): number | undefined {
  const match = /^\s*(?<number>\d+(?:\.\d+)?)?\s*(?<suffix>[KMGT]?)(?:i?B)?(?:\/s)?\s*$/iu.exec(text);
  if (match === null) return undefined;
  const number = Number(match.groups!["number"] ?? 0);
  return Math.round(number * SUFFIXES[match.groups!["suffix"]!.toUpperCase()]!);
}

/** What {@link parseRate} understands. */
export function editableRate(bytesPerSecond: number): string {
  if (bytesPerSecond === 0) return "";
  for (const suffix of ["T", "G", "M", "K"]) {
    const value = bytesPerSecond / SUFFIXES[suffix]!;
    if (Number.isInteger(value)) return `${value}${suffix}`;
  }
  return String(bytesPerSecond);
}
