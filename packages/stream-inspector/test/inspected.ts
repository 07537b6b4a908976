import { DEFAULT_LIMITS } from "@peregrine/protocol";
import type { SectionHeader } from "@peregrine/protocol";
import { inflateSync } from "node:zlib";
import { openDecompressor } from "../../protocol/test/decompressors.ts";
import { inspectStream } from "../src/index.ts";
import type { InspectEvent, InspectListener, Inspection, MemoryTarget, PageCodecs } from "../src/index.ts";

export const CODECS: PageCodecs = {
  inflate: (data, size) => inflateSync(data, { maxOutputLength: size }),
  openDecompressor,
};

/** Bytes in chunks of one size, each overwritten when the next one is asked for. */
// oxlint-disable-next-line require-await
export async function* chunksOf(bytes: Uint8Array, size = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) {
    const chunk = bytes.slice(at, at + size);
    yield chunk;
    chunk.fill(0xee);
  }
}

export interface InspectedOptions {
  readonly channels?: readonly Uint8Array[];
  readonly listener?: InspectListener;
  readonly memory?: MemoryTarget;
  readonly chunkBytes?: number;
}

/** What is told of a stream, and how it ended. */
export async function inspected(
  bytes: Uint8Array,
  { channels = [], listener = {}, memory, chunkBytes }: InspectedOptions = {},
): Promise<Inspection & { readonly events: readonly InspectEvent[] }> {
  const events: InspectEvent[] = [];
  const inspection = await inspectStream(
    {
      main: chunksOf(bytes, chunkBytes),
      channels: channels.map((channel) => chunksOf(channel, chunkBytes)),
      fileOffset: 0,
    },
    {
      limits: DEFAULT_LIMITS,
      codecs: CODECS,
      listener: {
        ...bound(listener),
        event: (event) => {
          events.push(event);
          listener.event?.(event);
        },
      },
      ...(memory === undefined ? {} : { memory }),
    },
  );
  return { ...inspection, events };
}

function bound(listener: InspectListener): InspectListener {
  return {
    device: (header: SectionHeader, payload, cutBy) => listener.device?.(header, payload, cutBy),
    described: (description) => listener.described?.(description),
  };
}
