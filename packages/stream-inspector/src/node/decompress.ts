import { MigrationError } from "@peregrine/protocol";
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";

export type FileCompression = "gzip" | "zstd";

/** Decompressed at once. */
const CHUNK_BYTES = 256 * 1024;

const MAGICS: readonly (readonly [FileCompression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]],
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]],
];

/** How a file is compressed, by its first bytes. */
export function compressionOf(head: Uint8Array): FileCompression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, index) => head[index] === byte))?.[0];
}

/**
 * What the chunks decompress to.
 * Errors: TRUNCATED when the file ends too early, BAD_SECTION when it is damaged; what comes before is given first.
 */
export async function* decompressed(
  chunks: AsyncIterable<Uint8Array>,
  compression: FileCompression,
): AsyncGenerator<Uint8Array> {
  const options = { chunkSize: CHUNK_BYTES };
  const transform = compression === "gzip" ? createGunzip(options) : createZstdDecompress(options);
  const feeding = feed(chunks, transform);
  // It is waited for below; until then it must not end the process.
  feeding.catch(() => {});
  try {
    yield* transform as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (MigrationError.is(error)) throw error;
    throw damaged(compression, error);
  }
  await feeding;
}

async function feed(chunks: AsyncIterable<Uint8Array>, transform: Transform): Promise<void> {
  try {
    for await (const chunk of chunks) {
      const written = Promise.withResolvers<void>();
      transform.write(chunk, (error) => (error == null ? written.resolve() : written.reject(error)));
      // The chunk is free when all of it is decompressed.
      await written.promise;
    }
    transform.end();
  } catch (error) {
    transform.destroy(error as Error);
    throw error;
  }
}

function damaged(compression: FileCompression, cause: unknown): MigrationError {
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === "Z_BUF_ERROR"
    ? new MigrationError("TRUNCATED", `The ${compression} file ended before its time`, { cause })
    : new MigrationError("BAD_SECTION", `The ${compression} file is damaged: ${message}`, { cause });
}
