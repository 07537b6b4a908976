import { expect } from "vitest";
import { DEFAULT_LIMITS, parseVmDescription, StreamDecoder, walkDevice } from "../src/index.ts";
import { Chunks } from "./chunks.ts";
import type { ChunkSizes } from "./chunks.ts";
import { DiskEcho } from "./disk-echo.ts";
import { fixture, fixtureFile, mainStream } from "./fixtures.ts";
import { MappedEcho } from "./mapped-echo.ts";
import { decodeMultifd } from "./multifd.ts";
import type { MultifdStreams } from "./multifd.ts";
import { WholeEcho } from "./whole-echo.ts";

export function multifdStreams(name: string): MultifdStreams {
  const of = fixture(name);
  const [main, ...channels] = [0, 1, 2].map((one) => fixtureFile(of, `${name}.c${one}.stream.zst`));
  return { main: main!, channels, meetAfterSections: name.startsWith("pc-72") };
}

/** Decodes the whole of a stream. Whatever it is, its configuration and its footers may be missing. */
export function decodeWhole<Echo extends WholeEcho>(bytes: Uint8Array, echo: Echo, sizes: ChunkSizes): Echo {
  const decoder = new StreamDecoder({
    limits: DEFAULT_LIMITS,
    handler: echo,
    configuration: "optional",
    footers: "detected",
  });
  const chunks = new Chunks(bytes, sizes);
  for (let chunk = chunks.next(); chunk !== undefined; chunk = chunks.next()) decoder.push(chunk);
  expect(decoder.end()).toBe(true);
  expect(decoder.offset).toBe(bytes.length);
  return echo;
}

/** Decodes a recording of any kind with all its channels. @returns also the bytes of its main stream. */
export async function decodeRecording(
  name: string,
  sizes: ChunkSizes,
): Promise<{ readonly echo: WholeEcho; readonly bytes: Uint8Array }> {
  if (name.includes("multifd")) {
    const streams = multifdStreams(name);
    return { echo: await decodeMultifd(streams, sizes), bytes: streams.main };
  }
  const bytes = mainStream(name);
  return { echo: decodeWhole(bytes, echoOf(name), sizes), bytes };
}

function echoOf(name: string): WholeEcho {
  if (name.endsWith("-mapped")) return new MappedEcho(true);
  if (name.endsWith("-block")) return new DiskEcho(true);
  return new WholeEcho(!name.startsWith("pc2"));
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
