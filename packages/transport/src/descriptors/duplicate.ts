import { loadCalls } from "./load-calls.ts";
import type { Libc } from "./load-calls.ts";

/**
 * Makes a second descriptor of what the first one stands for, closed when another program is run. Undefined when the
 * system refuses, for want of descriptors for example.
 */
export type Duplicate = (descriptor: number) => number | undefined;

const F_DUPFD_CLOEXEC = 1030;

let loaded: Promise<Duplicate | undefined> | undefined;

/** Undefined where that is not possible: on another system, or without koffi. */
export function loadDuplicate(): Promise<Duplicate | undefined> {
  loaded ??= loadCalls(duplicate);
  return loaded;
}

function duplicate(libc: Libc): Duplicate {
  const fcntl = libc.func("int fcntl(int descriptor, int command, int argument)");
  return (descriptor) => {
    const made = fcntl(descriptor, F_DUPFD_CLOEXEC, 0) as number;
    return made < 0 ? undefined : made;
  };
}
