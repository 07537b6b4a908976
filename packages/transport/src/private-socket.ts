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
 * @returns removes the socket's file, if it is still the same one.
 */
export async function bindPrivately(server: net.Server, path: string): Promise<() => void> {
  try {
    using folder = new PrivateFolder(dirname(path));
    await bind(server, { path: folder.socket }, path);
    // Node removes the file that it has bound, by this name, and the descriptor may be another folder's by then.
    folder.keepUntilClosed(server);
    try {
      fs.chmodSync(folder.socket, OWNER_ONLY);
      const { dev, ino } = fs.lstatSync(folder.socket);
      fs.linkSync(folder.socket, path);
      return () => removeIfSame(path, { dev, ino });
    } catch (error) {
      server.close();
      throw error;
    }
  } catch (error) {
    throw systemError("LISTEN_FAILED", `Failed to listen on '${path}'`, inUse(error) ?? error);
  }
}

/** A folder beside a path, for this user alone. Disposing it leaves nothing there. */
class PrivateFolder implements Disposable {
  readonly socket: string;
  readonly #path: string;
  readonly #descriptor: number;
  #kept = false;

  /** @param parent has to be on the file system of the path: a link cannot leave it. */
  constructor(parent: string) {
    this.#path = fs.mkdtempSync(join(parent, ".peregrine-"));
    this.#descriptor = fs.openSync(this.#path, fs.constants.O_RDONLY);
    this.socket = join(DESCRIPTORS === undefined ? this.#path : `${DESCRIPTORS}/${this.#descriptor}`, SOCKET);
  }

  keepUntilClosed(server: net.Server): void {
    this.#kept = true;
    server.once("close", () => fs.closeSync(this.#descriptor));
  }

  [Symbol.dispose](): void {
    fs.rmSync(this.socket, { force: true });
    fs.rmdirSync(this.#path);
    if (!this.#kept) fs.closeSync(this.#descriptor);
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
