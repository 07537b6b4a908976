import { MigrationError } from "@peregrine/protocol";
import { fstat, read } from "node:fs";
import type { Stats } from "node:fs";
import { open } from "node:fs/promises";
import { Socket } from "node:net";
import { isatty } from "node:tty";
import { promisify } from "node:util";

/** Read at once of a file: enough for its speed, and few enough things for what is told of them. */
const FILE_CHUNK_BYTES = 256 * 1024;
/** What a pipe holds. */
const PIPE_CHUNK_BYTES = 64 * 1024;
const STANDARD_INPUT = 0;

const statOf = promisify(fstat);
const readInto = promisify(read);

/** Bytes from outside, in one buffer that is used again. */
export interface ByteSource {
  /** How it is named for a person. */
  readonly name: string;
  /** Whether it can be opened once more and gives the same bytes. */
  readonly repeatable: boolean;
  /** To be read once. Each chunk is valid until the next one is asked for. */
  readonly chunks: AsyncIterable<Uint8Array>;
  close(): Promise<void>;
}

/** @param path `-` is the standard input. Errors: NO_SUCH_FILE; BAD_PARAMETER for a terminal. */
/** Opens a file, or the standard input for `-`; what is compressed is undone. Errors: NO_SUCH_FILE; BAD_PARAMETER for a terminal. */
export async function openByteSource(path: string): Promise<ByteSource> {
  return path === "-" ? standardInput() : fileSource(path);
}

async function fileSource(path: string): Promise<ByteSource> {
  const name = `'${path}'`;
  const file = await open(path).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  const stats = await file.stat();
  if (stats.isDirectory()) {
    await file.close();
    throw new MigrationError("NO_SUCH_FILE", `${name} is a directory; name a file`);
  }
  return {
    name,
    repeatable: stats.isFile(),
    chunks: readChunks(name, chunkBytes(stats), (buffer) => file.read(buffer, 0, buffer.length, null)),
    close: () => file.close(),
  };
}

async function standardInput(): Promise<ByteSource> {
  const name = "the standard input";
  const stats = await statOf(STANDARD_INPUT).catch((error: unknown) => {
    throw unreadable(name, error);
  });
  if (isatty(STANDARD_INPUT)) {
    throw new MigrationError("BAD_PARAMETER", "The standard input is a terminal; pipe a stream into it");
  }
  const common = { name, repeatable: false };
  // Whoever made a pipe may have made it non-blocking, which only the event loop can read.
  if (stats.isFIFO() || stats.isSocket()) {
    const pipe = new PipeReader(name);
    return { ...common, chunks: pipe.chunks(), close: () => pipe.close() };
  }
  return {
    ...common,
    chunks: readChunks(name, chunkBytes(stats), (buffer) =>
      readInto(STANDARD_INPUT, buffer, 0, buffer.length, null),
    ),
    close: () => Promise.resolve(),
  };
}

function chunkBytes(stats: Stats): number {
  return stats.isFile() ? FILE_CHUNK_BYTES : PIPE_CHUNK_BYTES;
}

async function* readChunks(
  name: string,
  bytes: number,
  fill: (buffer: Uint8Array) => Promise<{ readonly bytesRead: number }>,
): AsyncGenerator<Uint8Array> {
  const buffer = new Uint8Array(bytes);
  for (;;) {
    const { bytesRead } = await fill(buffer).catch((error: unknown) => {
      throw unreadable(name, error);
    });
    if (bytesRead === 0) return;
    yield buffer.subarray(0, bytesRead);
  }
}

/** Reads the standard input, a pipe or a socket, a buffer at a time. */
class PipeReader {
  readonly #buffer = new Uint8Array(PIPE_CHUNK_BYTES);
  readonly #socket: Socket;
  #filled = fillOf();

  constructor(name: string) {
    this.#socket = new Socket({
      fd: STANDARD_INPUT,
      readable: true,
      writable: false,
      onread: {
        buffer: this.#buffer,
        callback: (count) => {
          this.#filled.resolve(count);
          // Pauses it: the buffer is being read.
          return false;
        },
      },
    });
    this.#socket.on("end", () => this.#filled.resolve(0));
    this.#socket.on("error", (error) => this.#filled.reject(unreadable(name, error)));
  }

  async *chunks(): AsyncGenerator<Uint8Array> {
    for (;;) {
      this.#socket.resume();
      const count = await this.#filled.promise;
      if (count === 0) return;
      this.#filled = fillOf();
      yield this.#buffer.subarray(0, count);
    }
  }

  close(): Promise<void> {
    this.#socket.destroy();
    return Promise.resolve();
  }
}

/** A promise of the number of bytes in a buffer, 0 at the end. It may fail before anybody waits for it. */
function fillOf(): PromiseWithResolvers<number> {
  const filled = Promise.withResolvers<number>();
  filled.promise.catch(() => {});
  return filled;
}

function unreadable(name: string, cause: unknown): MigrationError {
  const { code = "an unknown error" } = cause as NodeJS.ErrnoException;
  const why = code === "ENOENT" ? "does not exist" : `cannot be read: ${code}`;
  return new MigrationError("NO_SUCH_FILE", `${name} ${why}`, { cause });
}
