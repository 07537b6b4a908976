import type { IncomingSnapshot, IncomingState } from "@peregrine/shared-state";
import { oneOf, seconds } from "./definition.ts";
import type { Definition } from "./definition.ts";

const STATES: Readonly<Record<IncomingState, true>> = {
  setup: true,
  listening: true,
  active: true,
  undecided: true,
  loaded: true,
  failed: true,
};

/** Of a guest that arrives. Those with a value of the guest itself are left out where none is to arrive. */
export const INCOMING_DEFINITIONS: readonly Definition[] = [
  {
    name: "peregrine_incoming_state",
    kind: "gauge",
    help: "1 for the state of the incoming migration; none where the guest was started.",
    labels: ["state"],
    read: ({ incoming }) => oneOf(["none", ...Object.keys(STATES)], incoming?.state ?? "none"),
  },
  {
    name: "peregrine_incoming_migrations_total",
    kind: "counter",
    help: "Incoming migrations that have ended, by how.",
    labels: ["result"],
    read: (_, { incoming: { completed, failed, cancelled } }) => ({ completed, failed, cancelled }),
  },
  {
    name: "peregrine_incoming_failures_total",
    kind: "counter",
    help: "Incoming migrations that have failed, by error code.",
    labels: ["code"],
    read: (_, { incoming }) => incoming.failures,
  },
  {
    name: "peregrine_incoming_received_bytes_total",
    kind: "counter",
    help: "Bytes of the stream received, on all connections.",
    read: ({ incoming }) => incoming?.received ?? 0,
  },
  {
    name: "peregrine_incoming_pages_total",
    kind: "counter",
    help: "Pages of guest memory that came: whole, or as a fill byte.",
    labels: ["kind"],
    read: ({ incoming }) => ({ normal: incoming?.normalPages ?? 0, zero: incoming?.zeroPages ?? 0 }),
  },
  of(
    "pass",
    "Sweep over memory that is arriving, from 1 on; left out with several connections.",
    (i) => i.pass,
  ),
  of("receive_bytes_per_second", "Rate on the wire.", (i) => i.rate),
  of("elapsed_seconds", "Time since the first byte, or that the load took.", (i) => seconds(i.elapsed)),
];

function of(name: string, help: string, read: (incoming: IncomingSnapshot) => number | null): Definition {
  return {
    name: `peregrine_incoming_${name}`,
    kind: "gauge",
    help,
    read: ({ incoming }) => (incoming === undefined ? null : read(incoming)),
  };
}
