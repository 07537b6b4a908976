import type { CapabilityStates } from "../capabilities.ts";
import { PAGE_SIZE } from "../machine.ts";
import type { MigrationStatistics } from "../migration-statistics.ts";
import type { MigrationStatus } from "../migration-state.ts";
import type { MigrationParameters } from "../parameters.ts";

/** Where an outgoing migration stands: those of `query-migrate`, without `none`. */
export type OutgoingState = Exclude<MigrationStatus, "none">;

/**
 * One look at an outgoing migration: counters as they are, and what it was told to do. Plain JSON data. Sizes are
 * bytes, times are milliseconds, rates are bytes per second; 0 is a rate that is not known yet.
 */
export interface OutgoingSample {
  /** Which of the agent's migrations it is, from 1 on. */
  readonly migration: number;
  readonly state: OutgoingState;
  /** Since it was accepted, until now or its end. */
  readonly elapsed: number;
  /** Number of the pass over guest memory, from 1 on; 0 before the first. */
  readonly pass: number;
  /** Guest memory to send in this pass, as counted at its beginning. */
  readonly passTotal: number;
  /** Bytes of the stream sent in this pass. */
  readonly passBytes: number;
  /** Guest memory that is dirty and not sent yet. */
  readonly remaining: number;
  /** Guest memory. */
  readonly total: number;
  /** Bytes of the stream sent, on all connections. */
  readonly transferred: number;
  /** Those sent while the guest ran, and while it stood still. */
  readonly precopyBytes: number;
  readonly downtimeBytes: number;
  /** Those sent on the connections of multifd. */
  readonly multifdBytes: number;
  /** Pages sent whole, as a fill byte, and by XBZRLE. */
  readonly normalPages: number;
  readonly zeroPages: number;
  readonly xbzrlePages: number;
  /** How often the guest's dirty log was harvested. */
  readonly dirtySyncs: number;
  /** Bytes of drives that are sent along, in all, sent, and not sent yet; 0 when none are. */
  readonly diskTotal: number;
  readonly diskTransferred: number;
  readonly diskRemaining: number;
  /** On the wire. */
  readonly sendRate: number;
  /** Guest memory made clean, whatever it cost on the wire: what the dirty rate has to be compared with. */
  readonly retireRate: number;
  readonly dirtyRate: number;
  /** Guest memory that may be left when the guest is stopped; 0 until it is known. */
  readonly threshold: number;
  readonly downtimeLimit: number;
  /** 0 is unlimited. */
  readonly bandwidthLimit: number;
  /** What the link is said to give at the switchover; 0: what was measured. */
  readonly switchoverBandwidth: number;
  /** Percentage of time that the guest is kept from running, and the most that it may be. */
  readonly throttle: number;
  readonly maxThrottle: number;
  /** Share of pages that the cache of XBZRLE did not have, 0..1, and its bytes. */
  readonly xbzrleMissRate: number;
  readonly xbzrleCacheSize: number;
  /** What is on that makes a migration end sooner, or keeps something else from being switched on. */
  readonly xbzrle: boolean;
  readonly multifd: boolean;
  readonly mappedRam: boolean;
  readonly autoConverge: boolean;
  /** The guest runs in this process: it dirties memory here. */
  readonly guestRuns: boolean;
  /** It can be slowed down here. */
  readonly canThrottle: boolean;
  /** The guest itself is still arriving here. */
  readonly arriving: boolean;
  /** The guest stands still for the switchover. */
  readonly stopped: boolean;
  /** Once completed: how long the guest stood still. 0 before. */
  readonly downtime: number;
}

/** What a sample of an outgoing migration is made of. */
export interface OutgoingSampleInput {
  readonly migration: number;
  readonly state: OutgoingState;
  readonly statistics: MigrationStatistics;
  readonly parameters: MigrationParameters;
  readonly capabilities: CapabilityStates;
  readonly guestRuns: boolean;
  readonly canThrottle: boolean;
  readonly arriving: boolean;
  /** Milliseconds of the clock that `statistics.startTime` is of. */
  readonly now: number;
}

/** Reads the counters. They may be of moments that are a little apart. */
export function sampleOutgoing(input: OutgoingSampleInput): OutgoingSample {
  const { migration, state, statistics, parameters, capabilities, now } = input;
  return {
    migration,
    state,
    elapsed: state === "completed" ? statistics.totalTime : Math.max(now - statistics.startTime, 0),
    // First, as the migration thread writes it last: the others are of this pass or of a later one.
    pass: statistics.pass,
    passTotal: statistics.passPages * PAGE_SIZE,
    passBytes: statistics.passBytes,
    remaining: statistics.remaining,
    total: statistics.total,
    transferred: statistics.transferred,
    precopyBytes: statistics.precopyBytes,
    downtimeBytes: statistics.downtimeBytes,
    multifdBytes: statistics.multifdBytes,
    normalPages: statistics.normal,
    zeroPages: statistics.duplicate,
    xbzrlePages: statistics.xbzrle.pages,
    dirtySyncs: statistics.dirtySyncCount,
    diskTotal: statistics.diskTotal,
    diskTransferred: statistics.diskTransferred,
    diskRemaining: statistics.diskRemaining,
    sendRate: statistics.bandwidth * 1000,
    retireRate: statistics.retireRate * 1000,
    dirtyRate: statistics.dirtyBytesRate,
    threshold: statistics.threshold,
    downtimeLimit: parameters.downtimeLimit,
    bandwidthLimit: parameters.maxBandwidth,
    switchoverBandwidth: parameters.availSwitchoverBandwidth,
    throttle: statistics.throttlePercentage,
    maxThrottle: parameters.maxCpuThrottle,
    xbzrleMissRate: statistics.xbzrle.cacheMissRate,
    xbzrleCacheSize: parameters.xbzrleCacheSize,
    xbzrle: capabilities.xbzrle,
    multifd: capabilities.multifd,
    mappedRam: capabilities["mapped-ram"],
    autoConverge: capabilities["auto-converge"],
    guestRuns: input.guestRuns,
    canThrottle: input.canThrottle,
    arriving: input.arriving,
    stopped: statistics.stopTime > 0,
    downtime: statistics.downtime,
  };
}
