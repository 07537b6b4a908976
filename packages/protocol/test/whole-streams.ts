import { expect } from "vitest";
import { DEFAULT_LIMITS, parseVmDescription, StreamDecoder, walkDevice } from "../src/index.ts";
import { fixtureFile, sha256 } from "./fixtures.ts";
import type { Fixture } from "./fixtures.ts";
import type { WholeEcho } from "./whole-echo.ts";

/** How a recording is fed: sizes of the chunks, by the offset at which each begins. */
export type ChunkSize = (at: number, total: number) => number;

export const CHUNKS: Record<string, ChunkSize> = {
  "4095 bytes": () => 4095,
  "all sizes": (at) => 1 + ((at * 7919) % 65_521),
  "1 byte, around the pages": (at, total) => {
    if (at < 8192 || at >= total - 160_000) return 1;
    return Math.min(65_536, total - 160_000 - at);
  },
};

/** Decodes the whole of a stream. Whatever it is, its configuration and its footers may be missing. */
export function decodeWhole(bytes: Uint8Array, echo: WholeEcho, size: ChunkSize): void {
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: echo,
    configuration: "optional",
    footers: "detected",
  });
  for (let at = 0; at < bytes.length;) {
    const end = Math.min(bytes.length, at + size(at, bytes.length));
    decoder.push(bytes.subarray(at, end));
    at = end;
  }
  expect(decoder.end()).toBe(true);
  expect(decoder.offset).toBe(bytes.length);
}

export function mainChannel(of: Fixture): Uint8Array {
  const file = Object.keys(of.files).find((name) => name.endsWith(".stream.zst"));
  return fixtureFile(of, file!);
}

/** Guest memory has the recorded sum, and what was encoded again is the recording. */
export function requireSame(of: Fixture, bytes: Uint8Array, echo: WholeEcho): void {
  expect(sha256(echo.block(of.ramBlock))).toBe(of.ramSha256);
  requireSameStream(bytes, echo);
}

export function requireSameStream(bytes: Uint8Array, echo: WholeEcho): void {
  expect(echo.w.length).toBe(bytes.length);
  expect(sha256(echo.w.view())).toBe(sha256(bytes));
}

/** Number of fields of all devices; each device is walked to its last byte. */
export function countFields(echo: WholeEcho): number {
  const { devices } = parseVmDescription(echo.description!);
  expect(echo.devices.map(({ header }) => [header.name, header.instance])).toEqual(
    devices.map((device) => [device.name, device.instance_id]),
  );
  return devices
    .map((device, index) => [...walkDevice(device, echo.devices[index]!.payload)].length)
    .reduce((sum, fields) => sum + fields, 0);
}
