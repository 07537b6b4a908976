import { finite } from "./convergence.ts";

/** Where an incoming migration stands. */
export type IncomingState =
  /** Nobody has said yet where the guest is to be awaited. */
  "setup" | "listening" | "active" | "undecided" | "loaded" | "failed";

/** One look at an incoming migration. Plain JSON data; sizes are bytes, times are milliseconds. */
export interface IncomingSample {
  readonly state: IncomingState;
  /** The source, as its channel names it; null before it has connected and after the end. */
  readonly peer: string | null;
  /** Since the first byte, until now or the end; 0 before it. */
  readonly elapsed: number;
  /** Bytes of the stream received, on all connections. */
  readonly received: number;
  /** Pages that came whole, each as often as it came, and as a fill byte. */
  readonly normalPages: number;
  readonly zeroPages: number;
  /**
   * The sweep over memory that is arriving, from 1 on: on one connection that is a pass of the source. Null before the
   * first page, and where pages come on several connections, which have no common order.
   */
  readonly pass: number | null;
}

/** How far an incoming migration is. How much is still to come only the source knows. */
export interface IncomingSnapshot extends IncomingSample {
  readonly direction: "incoming";
  /** Bytes per second in the last part of a second; null until it is known. */
  readonly rate: number | null;
  /** Where the measurement of the rate began. */
  readonly rateFrom: { readonly elapsed: number; readonly received: number };
}

/** The rate is measured over at least as long. Milliseconds. */
const RATE_PERIOD_MS = 500;

/** Takes one more look into account: bytes, pages and passes never become fewer. */
export function advanceIncoming(
  before: IncomingSnapshot | undefined,
  sample: IncomingSample,
): IncomingSnapshot {
  const elapsed = Math.max(before?.elapsed ?? 0, sample.elapsed);
  const received = Math.max(before?.received ?? 0, sample.received);
  const pass = Math.max(before?.pass ?? 0, sample.pass ?? 0);
  return {
    direction: "incoming",
    state: sample.state,
    peer: sample.peer,
    elapsed,
    received,
    normalPages: Math.max(before?.normalPages ?? 0, sample.normalPages),
    zeroPages: Math.max(before?.zeroPages ?? 0, sample.zeroPages),
    pass: pass === 0 ? null : pass,
    ...rateFields(before, elapsed, received),
  };
}

function rateFields(
  before: IncomingSnapshot | undefined,
  elapsed: number,
  received: number,
): Pick<IncomingSnapshot, "rate" | "rateFrom"> {
  const rateFrom = before?.rateFrom ?? { elapsed: 0, received: 0 };
  const period = elapsed - rateFrom.elapsed;
  if (period < RATE_PERIOD_MS) return { rate: before?.rate ?? null, rateFrom };
  return {
    rate: finite(((received - rateFrom.received) / period) * 1000),
    rateFrom: { elapsed, received },
  };
}
