import { createHash } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import net from "node:net";

/** Held until it is released or its process ends, in whatever way. */
export interface NameLock {
  release(): Promise<void>;
}

/**
 * Takes the lock on a name in a directory; undefined when somebody has it.
 *
 * The lock is a Unix socket in Linux's abstract namespace: binding it is atomic, and the kernel takes it back
 * when its process dies, so that there is no such thing as a stale lock.
 */
export function tryLock(directory: string, name: string): Promise<NameLock | undefined> {
  const server = net.createServer((socket) => socket.destroy());
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(undefined);
      else reject(error);
    });
    server.listen({ path: abstractAddress(directory, name) }, () => {
      server.unref();
      resolve({ release: () => new Promise((released) => server.close(() => released())) });
    });
  });
}

/** A path may lead to the directory in several ways, and its inode may be that of a directory that is gone. */
function abstractAddress(directory: string, name: string): string {
  const { dev, ino } = statSync(directory, { bigint: true });
  const place = JSON.stringify([realpathSync(directory), String(dev), String(ino), name]);
  return `\0peregrine-${createHash("sha256").update(place).digest("hex")}`;
}
