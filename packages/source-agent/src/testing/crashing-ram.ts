import { openRam as openTestRam } from "@peregrine/shared-state/testing";
import type { GuestRam, RamAccess } from "@peregrine/shared-state";

type Crash = "exit" | "throw" | "open";

/** Access to guest memory that takes the thread down that reads it. */
export function crashingAccess(access: RamAccess, crash: Crash): RamAccess {
  return { module: import.meta.url, data: { data: access.data, crash } };
}

/** The thread finds it by its name. @public */
export function openRam(options: unknown): GuestRam {
  const { data, crash } = options as { data: unknown; crash: Crash };
  if (crash === "open") throw new Error("no such memory");
  const ram = openTestRam(data);
  ram.readPages = () => {
    if (crash === "exit") process.exit(3);
    setImmediate(() => {
      throw new Error("the memory is gone");
    });
  };
  // Otherwise pages would be read without it.
  Object.assign(ram, { inPlace: undefined });
  return ram;
}
