import { advanceIncoming, advanceOutgoing } from "@peregrine/shared-state";
import type {
  IncomingSample,
  IncomingSnapshot,
  OutgoingSample,
  OutgoingSnapshot,
} from "@peregrine/shared-state";
import type { AgentFigures } from "../src/figures.ts";

/** An agent that has had no migration. */
export function figures(changes: Partial<AgentFigures>): AgentFigures {
  return {
    guest: "web",
    machine: "wasm-1",
    version: "1.2.3",
    runState: "running",
    owner: "owner",
    memory: 4096,
    outgoing: undefined,
    outgoingError: undefined,
    downtimeParts: undefined,
    incoming: undefined,
    incomingError: undefined,
    ...changes,
  };
}

const SAMPLE: OutgoingSample = {
  migration: 1,
  state: "active",
  elapsed: 1500,
  pass: 2,
  passTotal: 8192,
  passBytes: 100,
  remaining: 4096,
  total: 40_960,
  transferred: 50_000,
  precopyBytes: 50_000,
  downtimeBytes: 0,
  multifdBytes: 0,
  normalPages: 10,
  zeroPages: 3,
  xbzrlePages: 2,
  dirtySyncs: 2,
  diskTotal: 0,
  diskTransferred: 0,
  diskRemaining: 0,
  sendRate: 1000,
  retireRate: 2000,
  dirtyRate: 500,
  threshold: 60,
  downtimeLimit: 30,
  bandwidthLimit: 0,
  switchoverBandwidth: 0,
  throttle: 20,
  maxThrottle: 99,
  xbzrleMissRate: 0,
  xbzrleCacheSize: 0,
  xbzrle: true,
  multifd: false,
  mappedRam: false,
  autoConverge: true,
  guestRuns: true,
  canThrottle: true,
  arriving: false,
  stopped: false,
  downtime: 0,
};

export function outgoing(changes: Partial<OutgoingSample>): OutgoingSnapshot {
  return advanceOutgoing(undefined, { ...SAMPLE, ...changes });
}

export function incoming(changes: Partial<IncomingSample>): IncomingSnapshot {
  const sample = { state: "active", peer: null, elapsed: 700, received: 7000 } as const;
  return advanceIncoming(undefined, { ...sample, normalPages: 1, zeroPages: 2, pass: 1, ...changes });
}
