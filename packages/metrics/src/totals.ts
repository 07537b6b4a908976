import type { OutgoingSnapshot } from "@peregrine/shared-state";
import type { AgentFigures } from "./figures.ts";

const COUNTED = [
  "transferred",
  "downtimeBytes",
  "multifdBytes",
  "diskTransferred",
  "normalPages",
  "zeroPages",
  "xbzrlePages",
  "pass",
  "dirtySyncs",
] as const satisfies readonly (keyof OutgoingSnapshot)[];

/** A counter of one migration of which there is a sum over all of them. */
export type Counted = (typeof COUNTED)[number];

type Counts = Record<Counted, number>;

/** How migrations ended in one direction. */
export interface Results {
  readonly completed: number;
  readonly failed: number;
  readonly cancelled: number;
  /** Those that failed, by error code. */
  readonly failures: Readonly<Record<string, number>>;
}

/**
 * What an agent has done since it was started. Its counters begin anew with each migration, and a counter of Prometheus
 * never becomes less, so they are added up here. Has to see each migration at least once after it has ended.
 */
export class Totals {
  #migration = 0;
  /** Of the migrations before the present one. */
  #before = noCounts();
  #present = noCounts();
  /** Of the last migration whose end was counted. */
  #ended = 0;
  #outgoing: Results = NO_RESULTS;
  #incoming: Results = NO_RESULTS;
  #downtime: { readonly total: number; readonly parts: Readonly<Record<string, number>> } | undefined;

  observe({ outgoing, outgoingError, downtimeParts, incoming, incomingError }: AgentFigures): void {
    if (outgoing !== undefined) {
      this.#count(outgoing);
      this.#noticeEnd(outgoing, outgoingError);
      if (outgoing.state === "completed" && downtimeParts !== undefined) {
        this.#downtime = { total: outgoing.downtime, parts: downtimeParts };
      }
    }
    if (this.#incoming !== NO_RESULTS) return;
    if (incoming?.state === "loaded") this.#incoming = withEnd(this.#incoming, "completed", undefined);
    // A load that an operator or a signal called off has not failed.
    if (incoming?.state === "failed") {
      const isCancelled = incomingError === "CANCELLED";
      this.#incoming = withEnd(this.#incoming, isCancelled ? "cancelled" : "failed", incomingError);
    }
  }

  /** Over all migrations. */
  of(counter: Counted): number {
    return this.#before[counter] + this.#present[counter];
  }

  get outgoing(): Results {
    return this.#outgoing;
  }

  get incoming(): Results {
    return this.#incoming;
  }

  /** Of the last migration that has completed, whatever has happened since. Milliseconds. */
  get downtime(): { readonly total: number; readonly parts: Readonly<Record<string, number>> } | undefined {
    return this.#downtime;
  }

  #count(outgoing: OutgoingSnapshot): void {
    if (outgoing.migration !== this.#migration) {
      for (const name of COUNTED) this.#before[name] += this.#present[name];
      this.#present = noCounts();
      this.#migration = outgoing.migration;
    }
    for (const name of COUNTED) this.#present[name] = Math.max(this.#present[name], outgoing[name]);
  }

  #noticeEnd({ migration, state }: OutgoingSnapshot, error: string | undefined): void {
    if (migration === this.#ended) return;
    if (state !== "completed" && state !== "failed" && state !== "cancelled") return;
    this.#ended = migration;
    this.#outgoing = withEnd(this.#outgoing, state, error);
  }
}

const NO_RESULTS: Results = { completed: 0, failed: 0, cancelled: 0, failures: {} };

function withEnd(
  before: Results,
  how: "completed" | "failed" | "cancelled",
  error: string | undefined,
): Results {
  const counted = { ...before, [how]: before[how] + 1 };
  if (how !== "failed") return counted;
  const code = error ?? "INTERNAL";
  return { ...counted, failures: { ...before.failures, [code]: (before.failures[code] ?? 0) + 1 } };
}

function noCounts(): Counts {
  return Object.fromEntries(COUNTED.map((name) => [name, 0])) as Counts;
}
