import { DEFAULT_LIMITS, MigrationError } from "@peregrine/protocol";
import type { Limits } from "@peregrine/protocol";
import { hash } from "node:crypto";
import { inspectStream } from "../inspect-stream.ts";
import type { PageCodecs } from "../inspect-stream.ts";
import { ContentsNeeded, PageDigests } from "../page-digests.ts";
import type { MemoryContents } from "../page-digests.ts";
import { StreamContents } from "../stream-diff.ts";
import { ScratchMemory } from "./scratch-memory.ts";
import type { StreamFiles } from "./stream-files.ts";

/** 8 bytes are held for each page of both streams. */
const MOST_RAM_BYTES = 2 ** 40;

/**
 * Reads what a comparison needs. A stream with deltas is read twice: they need the pages themselves, which are then
 * kept in a temporary file.
 *
 * @param open opens the files of the stream, from their beginnings.
 * @param mostRam bytes of guest memory; a stream with more is refused. Default: 1 TiB.
 * Errors: those of the stream; BAD_PARAMETER when it has to be read twice and cannot be.
 */
export async function readStreamContents(
  open: () => Promise<StreamFiles>,
  codecs: PageCodecs,
  mostRam: number = MOST_RAM_BYTES,
): Promise<StreamContents> {
  const limits = { ...DEFAULT_LIMITS, maxRamBytes: mostRam };
  try {
    return await contentsOf(open, codecs, limits);
  } catch (error) {
    if (!(error instanceof ContentsNeeded)) throw error;
  }
  using memory = new ScratchMemory();
  return await contentsOf(open, codecs, limits, memory);
}

async function contentsOf(
  open: () => Promise<StreamFiles>,
  codecs: PageCodecs,
  limits: Limits,
  contents?: MemoryContents,
): Promise<StreamContents> {
  const files = await open();
  const { main, channels } = files;
  try {
    const digest = (page: Uint8Array): Uint8Array => hash("sha1", page, "buffer");
    const digests = new PageDigests({ digest, ...(contents === undefined ? {} : { contents }) });
    const result = new StreamContents(limits, digests);
    const { fault } = await inspectStream(
      { main: main.chunks, channels: channels.map(({ chunks }) => chunks), fileOffset: main.fileOffset },
      { limits, codecs, listener: result, memory: digests },
    );
    if (fault !== undefined)
      throw new MigrationError(fault.code, `${main.name}: ${fault.message}`, fault.serialize());
    return result;
  } catch (error) {
    if (error instanceof ContentsNeeded && !main.repeatable) {
      throw new MigrationError(
        "BAD_PARAMETER",
        `${main.name} has deltas and would have to be read twice to be compared; save it in a file first`,
      );
    }
    throw error;
  } finally {
    await files.close();
  }
}
