import { inflatePage, openDecompressor } from "@peregrine/dest-agent";
import { DEFAULT_LIMITS } from "@peregrine/protocol";
import type { Limits } from "@peregrine/protocol";
import { inspectStream } from "@peregrine/stream-inspector";
import type { Inspection, InspectOptions, PageCodecs, StreamFiles } from "@peregrine/stream-inspector";
import type { StreamSource } from "../inspect-options.ts";
import { openInputs } from "./inputs.ts";

/** Undoes the compression of pages as a destination does. */
export const CODECS: PageCodecs = { inflate: inflatePage, openDecompressor };

/** What a stream may be like. */
export function inspectLimits({ maxRam }: Pick<StreamSource, "maxRam">): Limits {
  return { ...DEFAULT_LIMITS, maxRamBytes: maxRam };
}

/** Reads what the command line names to its end, or to the first fault. */
export async function inspectInputs(
  { paths, maxRam }: StreamSource,
  options: Pick<InspectOptions, "listener" | "memory">,
  opened: (files: StreamFiles) => void = () => undefined,
): Promise<Inspection> {
  const files = await openInputs(paths);
  try {
    opened(files);
    const { main, channels } = files;
    return await inspectStream(
      { main: main.chunks, channels: channels.map(({ chunks }) => chunks), fileOffset: main.fileOffset },
      { limits: inspectLimits({ maxRam }), codecs: CODECS, ...options },
    );
  } finally {
    await files.close();
  }
}
