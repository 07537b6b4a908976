import type { OutgoingSample } from "../src/progress/outgoing-sample.ts";

export const MIB = 2 ** 20;

/** The first pass over 100 MiB, at 100 MiB/s, of a guest that dirties half as much. */
export function sample(changes: Partial<OutgoingSample>): OutgoingSample {
  return {
    migration: 1,
    state: "active",
    elapsed: 0,
    pass: 1,
    passTotal: 100 * MIB,
    passBytes: 0,
    remaining: 100 * MIB,
    total: 100 * MIB,
    transferred: 0,
    precopyBytes: 0,
    downtimeBytes: 0,
    multifdBytes: 0,
    normalPages: 0,
    zeroPages: 0,
    xbzrlePages: 0,
    dirtySyncs: 1,
    diskTotal: 0,
    diskTransferred: 0,
    diskRemaining: 0,
    sendRate: 100 * MIB,
    retireRate: 100 * MIB,
    dirtyRate: 50 * MIB,
    threshold: 3 * MIB,
    downtimeLimit: 30,
    bandwidthLimit: 0,
    switchoverBandwidth: 0,
    throttle: 0,
    maxThrottle: 99,
    xbzrleMissRate: 0,
    xbzrleCacheSize: 64 * MIB,
    xbzrle: false,
    multifd: false,
    mappedRam: false,
    autoConverge: false,
    guestRuns: true,
    canThrottle: true,
    arriving: false,
    stopped: false,
    downtime: 0,
    ...changes,
  };
}
