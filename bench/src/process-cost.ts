import { readdirSync, readFileSync } from "node:fs";

/** In `/proc/PID/stat`, counted from the field behind the command's name. */
const PARENT = 1;
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
/** Of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time that a process with all its threads has used so far. */
export function processorSeconds(pid: number): number {
  const fields = fieldsOf(pid);
  return (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) / TICKS_PER_SECOND;
}

/** A process with all that it has started, and what those have, as far as they run. */
export function processTree(pid: number): readonly number[] {
  const parents = readdirSync("/proc")
    .filter((name) => /^\d+$/u.test(name))
    .map((name) => ({ pid: Number(name), parent: parentOf(Number(name)) }));
  const tree = [pid];
  for (const one of tree)
    tree.push(...parents.filter(({ parent }) => parent === one).map((child) => child.pid));
  return tree;
}

/** Undefined for one that has ended since. */
function parentOf(pid: number): number | undefined {
  try {
    return Number(fieldsOf(pid)[PARENT]);
  } catch {
    return undefined;
  }
}

function fieldsOf(pid: number): readonly string[] {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  return stat.slice(stat.lastIndexOf(")") + 2).split(" ");
}

/** The most memory that a process has had, bytes. */
export function peakMemory(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1]) * 1024;
}
