import { freeMemory } from "@peregrine/host-memory";
import { DEFAULT_LIMITS } from "@peregrine/protocol";
import type { Limits } from "@peregrine/protocol";

/** Bytes of memory that a guest may have here. @param maxRam as it was given; without it, what is free now. */
export function acceptedMemory(maxRam: number | undefined): number {
  return maxRam ?? freeMemory();
}

/** Limits for a stream whose list of RAM blocks decides how much memory is taken. */
export function limitsFor(maxRam: number | undefined): Limits {
  return { ...DEFAULT_LIMITS, maxRamBytes: Math.min(acceptedMemory(maxRam), DEFAULT_LIMITS.maxRamBytes) };
}
