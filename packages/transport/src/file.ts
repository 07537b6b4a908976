import { MigrationError } from "@peregrine/protocol";
import { constants, open, stat } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { parseFileAddress } from "./address.ts";
import type { Channel, Transport } from "./channel.ts";
import { systemError } from "./errno.ts";
import { FileInputChannel } from "./file-input.ts";
import { FileOutputChannel } from "./file-output.ts";
import type { FileBefore } from "./file-output.ts";
import { SingleListener } from "./single-listener.ts";
import { requireWanted } from "./socket-connect.ts";

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
      return new SingleListener(address, new FileInputChannel(await open(path), path, offset));
    } catch (error) {
      throw systemError("LISTEN_FAILED", `Could not open '${path}'`, error);
    }
  },
};

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
    throw systemError("CONNECT_FAILED", `Could not create '${path}'`, error);
  }
}

/** It holds the guest's memory. */
const OWNER_ONLY = 0o600;

async function openForWriting(path: string): Promise<{ handle: FileHandle; before: FileBefore }> {
  try {
    return { handle: await open(path, "wx", OWNER_ONLY), before: { kind: "missing" } };
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
