/** Makes a second descriptor of what the first one stands for, closed when another program is run. Errors: none are thrown. */
export type Duplicate = (descriptor: number) => number | undefined;

const F_DUPFD_CLOEXEC = 1030;

let loaded: Promise<Duplicate | undefined> | undefined;

/** Undefined where that is not possible: on another system, or without koffi. */
export function loadDuplicate(): Promise<Duplicate | undefined> {
  loaded ??= load();
  return loaded;
}

async function load(): Promise<Duplicate | undefined> {
  if (process.platform !== "linux" || !["x64", "arm64"].includes(process.arch)) return undefined;
  try {
    const { default: koffi } = await import("koffi");
    const fcntl = koffi.load(null).func("int fcntl(int descriptor, int command, int argument)");
    return (descriptor) => {
      const made = fcntl(descriptor, F_DUPFD_CLOEXEC, 0) as number;
      return made < 0 ? undefined : made;
    };
  } catch {
    return undefined;
  }
}
