import { MigrationError } from "@peregrine/protocol";
import { constants, open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { parseFileAddress } from "./address.ts";
import type { FileAddress } from "./address.ts";
import type { Channel, Listener, Transport } from "./channel.ts";
import { systemError } from "./errno.ts";
import { FileInputChannel } from "./file-input.ts";
import { FileOutputChannel } from "./file-output.ts";
import type { FileBefore } from "./file-output.ts";
import { abortError } from "./socket-connect.ts";

/**
 * `file:PATH[,offset=N]`: a stream that is kept, from byte N of a file on. Going out it is a new file, or one that holds
 * nothing behind N: what is in a file may be the only copy of a machine, so it is never overwritten.
 */
export const file: Transport = {
  parse: parseFileAddress,

  async connect(rest, { signal }) {
    const { path, offset } = parseFileAddress(rest);
    requireWanted(signal, path);
    const channel = await openOutput(path, offset);
    try {
      requireWanted(signal, path);
      return channel;
    } catch (error) {
      channel.destroy();
      await channel.closed;
      throw error;
    }
  },

  async listen(rest) {
    const address = parseFileAddress(rest);
    const { path, offset } = address;
    try {
      await requireRegular(path);
      return new FileListener(address, new FileInputChannel(await open(path), path, offset));
    } catch (error) {
      throw systemError("LISTEN_FAILED", `Failed to open '${path}'`, error);
    }
  },
};

function requireWanted(signal: AbortSignal | undefined, path: string): void {
  if (signal?.aborted === true) throw abortError(signal, path);
}

async function openOutput(path: string, offset: number): Promise<Channel> {
  try {
    const { handle, before } = await openForWriting(path);
    if (before.kind === "existed" && before.size > offset) {
      await handle.close();
      throw new MigrationError(
        "CONNECT_FAILED",
        `The file '${path}' has contents already and is not overwritten: remove it, or name another one`,
      );
    }
    return new FileOutputChannel({ handle, path, offset, before });
  } catch (error) {
    throw systemError("CONNECT_FAILED", `Failed to create '${path}'`, error);
  }
}

async function openForWriting(path: string): Promise<{ handle: FileHandle; before: FileBefore }> {
  try {
    return { handle: await open(path, "wx"), before: { kind: "missing" } };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
  await requireRegular(path);
  const handle = await open(path, constants.O_WRONLY);
  return { handle, before: { kind: "existed", size: (await handle.stat()).size } };
}

/** Before the file is opened: opening a pipe waits for its other end. */
async function requireRegular(path: string): Promise<void> {
  if (!(await stat(path)).isFile()) throw new Error("not a regular file");
}

/** Hands out the one channel that reads the file. */
class FileListener implements Listener {
  readonly address: FileAddress;
  #channel: Channel | undefined;
  #closed = false;
  readonly #closing = Promise.withResolvers<never>();

  constructor(address: FileAddress, channel: Channel) {
    this.address = address;
    this.#channel = channel;
    this.#closing.promise.catch(() => {});
  }

  accept(): Promise<Channel> {
    const channel = this.#channel;
    if (channel === undefined) return this.#closing.promise;
    this.#channel = undefined;
    return Promise.resolve(channel);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing.reject(
      new MigrationError("LISTEN_FAILED", `No longer listening on '${this.address.path}'`),
    );
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.destroy();
    await channel?.closed;
  }
}
