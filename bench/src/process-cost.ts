import { readFileSync } from "node:fs";

/** In `/proc/PID/stat`, counted from the field behind the command's name. */
const USER_TICKS = 11;
const SYSTEM_TICKS = 12;
/** Of every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** Seconds of processor time that a process with all its threads has used so far. */
export function processorSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[USER_TICKS]) + Number(fields[SYSTEM_TICKS])) / TICKS_PER_SECOND;
}

/** The most memory that a process has had, bytes. */
export function peakMemory(pid: number): number {
  const match = /^VmHWM:\s+(\d+) kB$/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(match?.[1]) * 1024;
}
