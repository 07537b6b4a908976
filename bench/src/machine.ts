import { readFile } from "node:fs/promises";
import { arch, availableParallelism, cpus, release, totalmem } from "node:os";

/** What the figures were measured on. */
export interface MachineDescription {
  readonly processor: string;
  readonly processors: number;
  readonly architecture: string;
  /** GiB. */
  readonly memory: number;
  readonly kernel: string;
  readonly node: string;
  /** Whether the kernel hands out huge pages by itself. */
  readonly hugePages: string;
}

export async function describeMachine(): Promise<MachineDescription> {
  const hugePages = await readFile("/sys/kernel/mm/transparent_hugepage/enabled", "utf8").catch(() => "");
  return {
    processor: cpus()[0]?.model ?? "unknown",
    processors: availableParallelism(),
    architecture: arch(),
    memory: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    hugePages: /\[(\w+)\]/.exec(hugePages)?.[1] ?? "unknown",
  };
}
