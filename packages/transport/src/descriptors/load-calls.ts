import type Koffi from "koffi";

/** The C library that this process has loaded. */
export type Libc = ReturnType<typeof Koffi.load>;

/**
 * Makes calls of the system that Node does not have, for 64-bit architectures.
 * @returns undefined where they cannot be called: on another system, or without koffi.
 */
export async function loadCalls<Calls>(
  make: (libc: Libc, koffi: typeof Koffi) => Calls,
): Promise<Calls | undefined> {
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return undefined;
  try {
    const { default: koffi } = await import("koffi");
    return make(koffi.load(null), koffi);
  } catch {
    return undefined;
  }
}
