import { MigrationError } from "@peregrine/protocol";
import type Koffi from "koffi";
import { getSystemErrorName } from "node:util";

/**
 * Locks of open files. A lock belongs to the open file, so all threads of the process have it, and it is gone when the
 * file is closed or the process ends in whatever way.
 */
export interface FileLocks {
  /**
   * @param kind exclusive needs a file that is open for writing, shared one that is open for reading.
   * @returns false when somebody else has a lock that excludes it. Errors: NO_DRIVE_LOCKS.
   */
  lock(fd: number, kind: "exclusive" | "shared"): boolean;
  unlock(fd: number): void;
}

/** Linux, all of its 64-bit architectures: `F_OFD_SETLK` and the layout of `struct flock`. */
const SET_LOCK = 37;
const FLOCK_BYTES = 32;
const LOCK_TYPES = { shared: 0, exclusive: 1, unlocked: 2 } as const;

/** As `lock=off` has it: everything is granted. */
export const NO_LOCKS: FileLocks = { lock: () => true, unlock: () => undefined };

/**
 * The kernel's locks, of whole files. QEMU's are of the same kind, so it does not write to what is locked here, and an
 * image that it has open is refused here.
 * Errors: NO_DRIVE_LOCKS when this system does not have them, or they cannot be called.
 */
export async function kernelLocks(): Promise<FileLocks> {
  if (process.platform !== "linux")
    throw unavailable(`${process.platform} has none of the kind that is used`);
  let koffi: typeof Koffi;
  let fcntl: ReturnType<ReturnType<typeof Koffi.load>["func"]>;
  try {
    ({ default: koffi } = await import("koffi"));
    fcntl = koffi.load(null).func("int fcntl(int fd, int command, ...)");
  } catch (cause) {
    throw unavailable(`the module koffi cannot be loaded (${MigrationError.from(cause).message})`, cause);
  }
  /** @returns the error's name. */
  const set = (fd: number, type: number): string | undefined => {
    const whole = Buffer.alloc(FLOCK_BYTES);
    whole.writeInt16LE(type);
    if ((fcntl(fd, SET_LOCK, "void *", whole) as number) === 0) return undefined;
    return getSystemErrorName(-koffi.errno());
  };
  return {
    lock: (fd, kind) => {
      const error = set(fd, LOCK_TYPES[kind]);
      if (error === "EAGAIN" || error === "EACCES") return false;
      if (error !== undefined) throw unavailable(`its file system refuses them (${error})`);
      return true;
    },
    unlock: (fd) => void set(fd, LOCK_TYPES.unlocked),
  };
}

function unavailable(why: string, cause?: unknown): MigrationError {
  return new MigrationError(
    "NO_DRIVE_LOCKS",
    `The drive's image file cannot be locked: ${why}; with lock=off in --drive it is used without a lock, and nothing keeps two guests from writing to it`,
    { cause },
  );
}
