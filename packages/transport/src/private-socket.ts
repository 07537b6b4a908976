import fs from "node:fs";
import type net from "node:net";
import { dirname, join } from "node:path";
import { systemError } from "./errno.ts";
import { bind } from "./socket-listener.ts";

const OWNER_ONLY = 0o600;
const SOCKET = "s";

/** A path of 107 bytes leaves no room for a folder of our own, so the folder is named by its descriptor. */
const DESCRIPTORS = process.platform === "linux" ? "/proc/self/fd" : undefined;

/**
 * Listens at `path`, where nobody but this user can connect, from the first moment on. A socket gets its mode from the
 * process's umask, which no thread can set without the others' files getting it, too. So the socket is made in a folder
 * that only this user can enter, and has its mode before it is linked to where it belongs. As with bind(2), nothing
 * that is there is replaced.
 *
 * Errors: LISTEN_FAILED, with EADDRINUSE as its cause's code where something has the path.
 * @returns what is to be done once the server is closed: removes the socket's file, if it is still the same one.
 */
export async function bindPrivately(server: net.Server, path: string): Promise<() => void> {
  try {
    const folder = new PrivateFolder(dirname(path));
    try {
      await bind(server, { path: folder.socket }, path);
      fs.chmodSync(folder.socket, OWNER_ONLY);
      const { dev, ino } = fs.lstatSync(folder.socket);
      fs.linkSync(folder.socket, path);
      folder.remove();
      return () => {
        folder.close();
        removeIfSame(path, { dev, ino });
      };
    } catch (error) {
      server.close();
      folder.remove();
      folder.close();
      throw error;
    }
  } catch (error) {
    throw systemError("LISTEN_FAILED", `Failed to listen on '${path}'`, inUse(error) ?? error);
  }
}

/** A folder beside a path, for this user alone. */
class PrivateFolder {
  /** Where a socket is made in it. */
  readonly socket: string;
  readonly #path: string;
  readonly #descriptor: number;

  /** @param parent has to be on the file system of the path: a link cannot leave it. */
  constructor(parent: string) {
    this.#path = fs.mkdtempSync(join(parent, ".peregrine-"));
    try {
      this.#descriptor = fs.openSync(this.#path, fs.constants.O_RDONLY);
    } catch (error) {
      fs.rmdirSync(this.#path);
      throw error;
    }
    const name = DESCRIPTORS === undefined ? this.#path : `${DESCRIPTORS}/${this.#descriptor}`;
    this.socket = join(name, SOCKET);
  }

  remove(): void {
    fs.rmSync(this.socket, { force: true });
    fs.rmdirSync(this.#path);
  }

  /**
   * Not before the server is closed. Node removes by its name then what it has bound, and with the descriptor in other
   * hands that would be a file in somebody else's folder.
   */
  close(): void {
    fs.closeSync(this.#descriptor);
  }
}

function removeIfSame(path: string, { dev, ino }: { readonly dev: number; readonly ino: number }): void {
  const found = fs.lstatSync(path, { throwIfNoEntry: false });
  if (found?.dev === dev && found.ino === ino) fs.rmSync(path, { force: true });
}

/** What bind(2) says of a path that something has. */
function inUse(error: unknown): Error | undefined {
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (code !== "EEXIST" || syscall !== "link") return undefined;
  return Object.assign(new Error("address already in use", { cause: error }), { code: "EADDRINUSE" });
}
