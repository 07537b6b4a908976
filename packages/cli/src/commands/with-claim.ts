import { HostSignals } from "../host-signals.ts";
import { openRegistry } from "../open-registry.ts";
import type { NameClaim } from "../registry.ts";

export interface ClaimedName {
  readonly claim: NameClaim;
  readonly signals: HostSignals;
}

/**
 * Does `work` under a name of this host, and with the signals that end a process turned into a promise.
 * @param stem what the name is made from when none is given.
 * Errors: BAD_PARAMETER, NAME_IN_USE, those of `work`.
 */
export async function withClaim(
  name: string | undefined,
  stem: string,
  work: (claimed: ClaimedName) => Promise<number>,
): Promise<number> {
  const signals = new HostSignals();
  try {
    const registry = await openRegistry();
    const claim = await (name === undefined ? registry.claimFree(stem) : registry.claim(name));
    try {
      return await work({ claim, signals });
    } finally {
      await claim.release();
    }
  } finally {
    signals.dispose();
  }
}
