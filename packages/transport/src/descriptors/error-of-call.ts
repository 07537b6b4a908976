import type Koffi from "koffi";

/** Why the last call has failed: an Error as those of Node, with `code` and `errno`. */
export function errorOfCall(koffi: typeof Koffi, call: string): NodeJS.ErrnoException {
  const errno = koffi.errno();
  const code = Object.entries(koffi.os.errno).find(([, number]) => number === errno)?.[0];
  return Object.assign(new Error(`${call} failed with error ${errno}`), { code, errno: -errno });
}
