const MIB = 1024 * 1024;
const PAGE_BYTES = 4096;

export const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;

export function pages(bytes: number): string {
  const count = bytes / PAGE_BYTES;
  return `${count} ${count === 1 ? "page" : "pages"}`;
}

export const rate = (bytesPerSecond: number): string => `${mib(bytesPerSecond)}/s`;

export const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;

export const milliseconds = (ms: number): string => `${ms.toFixed(1)} ms`;
