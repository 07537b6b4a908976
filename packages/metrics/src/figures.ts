import type { IncomingSnapshot, OutgoingSnapshot, RunState } from "@peregrine/shared-state";

/** What the metrics are made from: an agent at one moment. Sizes are bytes, times are milliseconds. */
export interface AgentFigures {
  readonly guest: string;
  /** Machine type, for example `wasm-1`. */
  readonly machine: string;
  readonly version: string;
  readonly runState: RunState;
  readonly owner: "owner" | "not-owner" | "undecided";
  /** Guest memory in use. */
  readonly memory: number;
  /** Undefined before the first migration. */
  readonly outgoing: OutgoingSnapshot | undefined;
  /** Why the last one failed: a code from `docs/ERRORS.md`. */
  readonly outgoingError: string | undefined;
  /** What the downtime of the last one that completed was made of, by the name of the part, without the total. */
  readonly downtimeParts: Readonly<Record<string, number>> | undefined;
  /** Undefined where no guest is to arrive. */
  readonly incoming: IncomingSnapshot | undefined;
  readonly incomingError: string | undefined;
}
