import { MIGRATION_TRANSITIONS } from "@peregrine/shared-state";
import type { OutgoingSnapshot, Verdict } from "@peregrine/shared-state";
import { oneOf, seconds } from "./definition.ts";
import type { Definition } from "./definition.ts";
import type { Counted } from "./totals.ts";

const STATES = Object.keys(MIGRATION_TRANSITIONS);

const VERDICTS: Readonly<Record<Verdict["kind"], true>> = {
  connecting: true,
  "too-early": true,
  converging: true,
  ready: true,
  "will-not-converge": true,
  throttling: true,
  "not-moving": true,
  arriving: true,
  "paused-before-switchover": true,
  "switching-over": true,
  cancelling: true,
  ended: true,
};

/** Of guests that leave. */
export const OUTGOING_DEFINITIONS: readonly Definition[] = [
  {
    name: "peregrine_outgoing_state",
    kind: "gauge",
    help: "1 for the state of the present or last outgoing migration, as query-migrate has it; none before the first.",
    labels: ["state"],
    read: ({ outgoing }) => oneOf(STATES, outgoing?.state ?? "none"),
  },
  {
    name: "peregrine_outgoing_verdict",
    kind: "gauge",
    help: "1 for whether and when the present migration is going to end, for example converging or will-not-converge.",
    labels: ["verdict"],
    read: ({ outgoing }) => oneOf(Object.keys(VERDICTS), outgoing?.verdict.kind),
  },
  {
    name: "peregrine_outgoing_migrations_total",
    kind: "counter",
    help: "Outgoing migrations that have ended, by how.",
    labels: ["result"],
    read: (_, { outgoing: { completed, failed, cancelled } }) => ({ completed, failed, cancelled }),
  },
  {
    name: "peregrine_outgoing_failures_total",
    kind: "counter",
    help: "Outgoing migrations that have failed, by error code.",
    labels: ["code"],
    read: (_, { outgoing }) => outgoing.failures,
  },
  sum("sent_bytes", "transferred", "Bytes of the stream sent, on all connections."),
  sum("downtime_sent_bytes", "downtimeBytes", "Bytes of the stream sent while the guest stood still."),
  sum("multifd_sent_bytes", "multifdBytes", "Bytes sent on the connections of multifd."),
  sum("drive_sent_bytes", "diskTransferred", "Bytes of drives sent."),
  {
    name: "peregrine_outgoing_pages_total",
    kind: "counter",
    help: "Pages of guest memory sent: whole, as a fill byte, or by XBZRLE.",
    labels: ["kind"],
    read: (_, totals) => ({
      normal: totals.of("normalPages"),
      zero: totals.of("zeroPages"),
      xbzrle: totals.of("xbzrlePages"),
    }),
  },
  sum("passes", "pass", "Passes over guest memory."),
  sum("dirty_syncs", "dirtySyncs", "Harvests of the dirty log."),
  of(
    "progress_ratio",
    "Part of the migration that is done, 0 to 1; never runs backwards.",
    (o) => o.fraction,
  ),
  of("pass", "Number of the present pass, from 1 on.", (o) => o.pass),
  of("pass_bytes", "Guest memory that the present pass had to send when it began.", (o) => o.passTotal),
  of("pass_done_bytes", "Guest memory of the present pass that is sent.", (o) => o.passDone),
  of("memory_bytes", "Guest memory that is migrated.", (o) => o.total),
  of("remaining_bytes", "Guest memory that is dirty and not sent.", (o) => o.remaining),
  of("drive_remaining_bytes", "Bytes of drives that are not sent.", (o) => o.diskRemaining),
  of("send_bytes_per_second", "Rate on the wire.", (o) => o.sendRate),
  of(
    "retire_bytes_per_second",
    "Guest memory made clean per second, whatever it costs on the wire: compare it with the dirty rate.",
    (o) => o.retireRate,
  ),
  of("dirty_bytes_per_second", "Guest memory that the guest dirties per second.", (o) => o.dirtyRate),
  of(
    "bandwidth_limit_bytes_per_second",
    "What may be sent per second; 0 is unlimited.",
    (o) => o.bandwidthLimit,
  ),
  of("predicted_downtime_seconds", "Downtime, had the guest been stopped when this pass began.", (o) =>
    seconds(o.predictedDowntime),
  ),
  of("least_downtime_seconds", "The same of the smallest pass so far, at the present rate.", (o) =>
    seconds(o.leastDowntime),
  ),
  of("downtime_limit_seconds", "Downtime that is tolerated.", (o) => seconds(o.downtimeLimit)),
  of("stalled_passes", "Passes since the smallest one, none of which was smaller.", (o) => o.stalledPasses),
  of(
    "throttle_ratio",
    "Part of the time that the guest is kept from running, 0 to 1.",
    (o) => o.throttle / 100,
  ),
  of("elapsed_seconds", "Time since the migration was accepted, or that it took.", (o) => seconds(o.elapsed)),
  {
    name: "peregrine_outgoing_last_downtime_seconds",
    kind: "gauge",
    help: "Downtime of the last migration that has completed, as the source sees it.",
    read: (_, { downtime }) => seconds(downtime?.total),
  },
  {
    name: "peregrine_outgoing_last_downtime_part_seconds",
    kind: "gauge",
    help: "What that downtime was made of.",
    labels: ["part"],
    read: (_, { downtime }) =>
      Object.fromEntries(Object.entries(downtime?.parts ?? {}).map(([part, ms]) => [part, ms / 1000])),
  },
];

function sum(name: string, counter: Counted, help: string): Definition {
  return {
    name: `peregrine_outgoing_${name}_total`,
    kind: "counter",
    help,
    read: (_, totals) => totals.of(counter),
  };
}

/** Of the present or last migration; left out before the first. */
function of(name: string, help: string, read: (outgoing: OutgoingSnapshot) => number | null): Definition {
  return {
    name: `peregrine_outgoing_${name}`,
    kind: "gauge",
    help,
    read: ({ outgoing }) => (outgoing === undefined ? null : read(outgoing)),
  };
}
