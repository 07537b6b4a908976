import type { IncomingProgress, IncomingStatus } from "@peregrine/dest-agent";
import type { ImageSummary } from "@peregrine/machine-image";
import type { AgentInfo } from "@peregrine/monitor";
import type { ErrorCode } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { IncomingSnapshot, OutgoingSnapshot, RamInfo } from "@peregrine/shared-state";
import type { HookReport } from "./hooks/guest-hooks.ts";
import { HandOvers } from "./hand-overs.ts";
import type { HandOverReport } from "./hand-overs.ts";
import type { DowntimeBreakdown } from "@peregrine/source-agent";
import * as v from "valibot";

/** What is known of a virtual machine that is held. */
export interface ImageReport {
  /** Bytes of memory that have contents. */
  readonly contents: number;
  /** Device sections; null when the stream does not tell them apart. */
  readonly devices: number | null;
  /** What it did at its source, for example `running`; null when the stream does not say. */
  readonly runState: string | null;
}

/** A network interface of the guest. */
export interface InterfaceReport {
  readonly id: string;
  readonly mac: string;
  /** Where its frames go, as it was given. */
  readonly netdev: string;
  /** Frames. */
  readonly sent: number;
  readonly lost: number;
}

/** What `x-peregrine-info` answers: the agent, and more about its outgoing migration than `query-migrate` tells. */
export interface AgentReport extends AgentInfo {
  /** Null for a program, and for a virtual machine that has not arrived. */
  readonly image: ImageReport | null;
  readonly interfaces: readonly InterfaceReport[];
  /** The commands that were run, or are to be, because the guest came or left. */
  readonly hooks: readonly HookReport[];
  /** What is known of guests that were handed over here and from here. */
  readonly handOvers: readonly HandOverReport[];
  /** How far the present or last outgoing migration is; null before the first. */
  readonly progress: OutgoingSnapshot | null;
  /** How far the guest is that is to arrive here, or has; null where it was started. */
  readonly incoming: IncomingSnapshot | null;
  /** Where the guest was sent last; null before the first migration. */
  readonly target: string | null;
  /** Whether that made a copy, and the guest has stayed here. */
  readonly copied: boolean;
  /** How the guest came here; null for one that was started here, and before it has arrived. */
  readonly arrival: IncomingProgress | null;
  /** Whether the guest is known to be elsewhere: at a destination that has said so, or in a file. */
  readonly moved: boolean;
  /** Why the last migration failed. */
  readonly error: { readonly code: ErrorCode; readonly message: string } | null;
  /** What the downtime of a completed migration was made of. */
  readonly downtime: DowntimeBreakdown | null;
}

export function imageReport(summary: ImageSummary | undefined): ImageReport | null {
  if (summary?.arrived === undefined) return null;
  const { devices, runState } = summary.arrived;
  const contents = summary.pagesWithContents * PAGE_SIZE;
  return { contents, devices: devices ?? null, runState: runState ?? null };
}

export function arrivalReport(incoming: IncomingStatus | undefined): IncomingProgress | null {
  return incoming?.kind === "loaded" ? incoming.progress : null;
}

const Arrival = v.object({
  bytes: v.number(),
  pages: v.number(),
  zeroPages: v.number(),
  totalTime: v.number(),
  lateDevicesTime: v.number(),
  startTime: v.number(),
  afterAnswerTime: v.number(),
} satisfies Record<keyof IncomingProgress, unknown>);

const Image = v.object({
  contents: v.number(),
  devices: v.nullable(v.number()),
  runState: v.nullable(v.string()),
} satisfies Record<keyof ImageReport, unknown>);

const Interface = v.object({
  id: v.string(),
  mac: v.string(),
  netdev: v.string(),
  sent: v.number(),
  lost: v.number(),
} satisfies Record<keyof InterfaceReport, unknown>);

const Hook = v.object({
  hook: v.picklist(["arrival", "departure"]),
  reason: v.picklist(["started", "arrived", "moved", "ended"]),
  state: v.picklist(["waiting", "running", "done", "failed"]),
  failure: v.nullable(v.string()),
} satisfies Record<keyof HookReport, unknown>);

/** What is shown of a snapshot; the rest is passed on as it came. */
const Outgoing = v.looseObject({
  state: v.string(),
  fraction: v.number(),
  pass: v.number(),
  passTotal: v.number(),
  passDone: v.number(),
  transferred: v.number(),
  diskTotal: v.number(),
  diskRemaining: v.number(),
  sendRate: v.number(),
  dirtyRate: v.nullable(v.number()),
  predictedDowntime: v.nullable(v.number()),
  leastDowntime: v.nullable(v.number()),
  leastPass: v.number(),
  downtimeLimit: v.number(),
  verdict: v.looseObject({ kind: v.string(), text: v.string() }),
} satisfies { readonly [N in keyof OutgoingSnapshot]?: unknown });

const Incoming = v.looseObject({
  state: v.string(),
  received: v.number(),
  pass: v.nullable(v.number()),
  rate: v.nullable(v.number()),
} satisfies { readonly [N in keyof IncomingSnapshot]?: unknown });

/** What is shown of how far an outgoing migration is: a snapshot, also one of an agent of another release. */
export interface ShownProgress extends Pick<
  OutgoingSnapshot,
  Exclude<keyof typeof Outgoing.entries, "state" | "verdict">
> {
  readonly state: string;
  readonly verdict: { readonly kind: string; readonly text: string };
}

const Downtime = v.object({
  stop: v.number(),
  pause: v.number(),
  harvest: v.number(),
  lastPages: v.number(),
  deviceState: v.number(),
  load: v.number(),
  total: v.number(),
} satisfies Record<keyof DowntimeBreakdown, unknown>);

const SentRam = v.looseObject({
  transferred: v.number(),
  total: v.number(),
  normal: v.number(),
  duplicate: v.number(),
  mbps: v.number(),
  "precopy-bytes": v.number(),
  "downtime-bytes": v.number(),
} satisfies { readonly [N in keyof RamInfo]?: unknown });

/** An {@link AgentReport} as a client reads it: what it does not know is kept. */
export const ReceivedReport = v.looseObject({
  name: v.nullable(v.string()),
  pid: v.number(),
  machine: v.string(),
  program: v.nullable(v.string()),
  status: v.string(),
  role: v.picklist(["source", "destination"]),
  owner: v.picklist(["owner", "not-owner", "undecided"]),
  memory: v.number(),
  image: v.nullable(Image),
  interfaces: v.array(Interface),
  hooks: v.array(Hook),
  handOvers: HandOvers,
  migration: v.looseObject({
    status: v.optional(
      v.picklist(["setup", "active", "pre-switchover", "device", "completed", "failed", "cancelled"]),
    ),
    "total-time": v.optional(v.number()),
    downtime: v.optional(v.number()),
    "setup-time": v.optional(v.number()),
    ram: v.optional(SentRam),
    "error-desc": v.optional(v.string()),
  }),
  progress: v.nullable(Outgoing),
  incoming: v.nullable(Incoming),
  target: v.nullable(v.string()),
  copied: v.boolean(),
  arrival: v.nullable(Arrival),
  moved: v.boolean(),
  error: v.nullable(v.object({ code: v.string(), message: v.string() })),
  downtime: v.nullable(Downtime),
});

export type ReceivedReport = v.InferOutput<typeof ReceivedReport>;
