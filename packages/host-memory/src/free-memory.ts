import { readFileSync } from "node:fs";
import { join } from "node:path";

const MIB = 2 ** 20;

/** The parts of memory's control groups, one for each of their two kinds. */
const KINDS = [
  {
    line: /^0::(?<path>.*)$/mu,
    mount: "sys/fs/cgroup",
    limit: "memory.max",
    used: "memory.current",
    files: /^inactive_file (?<bytes>\d+)$/mu,
  },
  {
    line: /^\d+:(?:[^:\n]*,)?memory(?:,[^:\n]*)?:(?<path>.*)$/mu,
    mount: "sys/fs/cgroup/memory",
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    files: /^total_inactive_file (?<bytes>\d+)$/mu,
  },
] as const;

/**
 * Bytes of memory that a process can have at this moment without another one losing any: what the host has free, with the
 * files in it that it can read again, or less where a control group that the process is in has a limit. Whole MiB.
 * Infinity where the host does not tell.
 * @param root of the system's files. Default: `/`.
 */
export function freeMemory(root = "/"): number {
  const bytes = Math.min(ofHost(root), ofControlGroups(root));
  return Number.isFinite(bytes) ? Math.max(0, Math.floor(bytes / MIB)) * MIB : bytes;
}

function ofHost(root: string): number {
  const kib = /^MemAvailable:\s+(?<kib>\d+) kB$/mu.exec(textOf(join(root, "proc/meminfo")))?.groups?.["kib"];
  return kib === undefined ? Infinity : Number(kib) * 1024;
}

function ofControlGroups(root: string): number {
  const groups = textOf(join(root, "proc/self/cgroup"));
  const free = KINDS.flatMap((kind) => {
    const path = kind.line.exec(groups)?.groups?.["path"];
    if (path === undefined) return [];
    return withParents(path).map((group) => ofControlGroup(join(root, kind.mount, group), kind));
  });
  return Math.min(...free);
}

/** A group and all that it is in, whose limits hold for it too, up to the root of what is mounted. */
function withParents(path: string): string[] {
  const names = path.split("/");
  return names.map((_, index) => names.slice(0, index + 1).join("/"));
}

/** Infinity for a group without a limit, or that is not here: a container often sees its group only as the root. */
function ofControlGroup(directory: string, { limit, used, files }: (typeof KINDS)[number]): number {
  const most = Number(textOf(join(directory, limit)).trim() || Number.NaN);
  if (!Number.isFinite(most)) return Infinity;
  const taken = Number(textOf(join(directory, used)));
  const cached = Number(files.exec(textOf(join(directory, "memory.stat")))?.groups?.["bytes"] ?? 0);
  return most - Math.max(0, taken - cached);
}

/** Empty where there is no such file. */
function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
