import { fileTypeNumber, SetTimesFlag } from "./abi.ts";
import { HostError } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { HostFileStat, HostTime } from "./host.ts";

const U64 = 64;

/** Writes preview1's `filestat`. */
export function writeFileStat(memory: GuestMemory, at: number, stat: HostFileStat): void {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt.asUintN(U64, stat.device), true);
  view.setBigUint64(8, BigInt.asUintN(U64, stat.inode), true);
  view.setUint8(16, fileTypeNumber(stat.type));
  view.setBigUint64(24, BigInt.asUintN(U64, stat.links), true);
  view.setBigUint64(32, BigInt.asUintN(U64, stat.size), true);
  view.setBigUint64(40, BigInt.asUintN(U64, stat.accessedNs), true);
  view.setBigUint64(48, BigInt.asUintN(U64, stat.modifiedNs), true);
  view.setBigUint64(56, BigInt.asUintN(U64, stat.changedNs), true);
  memory.write(at, bytes);
}

/** What `fstflags` and the two times ask for. Errors: EINVAL for a time given and "now" at once. */
export function timesToSet(
  accessedNs: bigint,
  modifiedNs: bigint,
  flags: number,
): { accessed: HostTime; modified: HostTime } {
  if (flags > 0xf) throw new HostError("EINVAL");
  return {
    accessed: timeToSet(accessedNs, flags, SetTimesFlag.accessed, SetTimesFlag.accessedNow),
    modified: timeToSet(modifiedNs, flags, SetTimesFlag.modified, SetTimesFlag.modifiedNow),
  };
}

function timeToSet(ns: bigint, flags: number, given: number, now: number): HostTime {
  const isGiven = (flags & given) !== 0;
  const isNow = (flags & now) !== 0;
  if (isGiven && isNow) throw new HostError("EINVAL");
  if (isNow) return "now";
  return isGiven ? ns : "keep";
}
