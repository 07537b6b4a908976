import type { GuestRam, RamAccess } from "@peregrine/shared-state";
import { openRam as openImageRam } from "../../machine-image/src/image-memory.ts";

type Crash = "exit" | "throw" | "open";

/** Access to an image's memory that takes the thread down that writes to it. */
export function crashingAccess({ data }: RamAccess, crash: Crash): RamAccess {
  return { module: import.meta.url, data: { data, crash } };
}

/** The thread finds it by its name. @public */
export function openRam(options: unknown): GuestRam {
  const { data, crash } = options as { data: unknown; crash: Crash };
  if (crash === "open") throw new Error("no such memory");
  const ram = openImageRam(data);
  ram.writePages = () => {
    if (crash === "exit") process.exit(3);
    queueMicrotask(() => {
      throw new Error("the memory is gone");
    });
  };
  return ram;
}
