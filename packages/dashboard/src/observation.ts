import { MigrationError } from "@peregrine/protocol";
import type { IncomingSnapshot, OutgoingSnapshot } from "@peregrine/shared-state";
import * as v from "valibot";

const Socket = v.object({
  type: v.string(),
  host: v.optional(v.string()),
  port: v.optional(v.string()),
  path: v.optional(v.string()),
});

const Outgoing = v.object({
  migration: v.number(),
  state: v.picklist([
    "setup",
    "active",
    "pre-switchover",
    "device",
    "cancelling",
    "completed",
    "failed",
    "cancelled",
  ]),
  elapsed: v.number(),
  fraction: v.number(),
  pass: v.number(),
  passTotal: v.number(),
  passDone: v.number(),
  remaining: v.number(),
  diskRemaining: v.number(),
  transferred: v.number(),
  sendRate: v.number(),
  dirtyRate: v.nullable(v.number()),
  bandwidthLimit: v.number(),
  predictedDowntime: v.nullable(v.number()),
  downtimeLimit: v.number(),
  downtime: v.number(),
  throttle: v.number(),
  canThrottle: v.boolean(),
  verdict: v.object({ kind: v.string(), text: v.string() }),
} satisfies { readonly [N in keyof OutgoingSnapshot]?: unknown });

const Info = v.object({
  name: v.nullable(v.string()),
  pid: v.number(),
  machine: v.string(),
  program: v.nullable(v.string()),
  status: v.string(),
  role: v.picklist(["source", "destination"]),
  owner: v.picklist(["owner", "not-owner", "undecided"]),
  memory: v.number(),
  migration: v.object({ "error-desc": v.optional(v.string()) }),
  target: v.nullable(v.string()),
  moved: v.boolean(),
  handOvers: v.array(v.object({ migration: v.string() })),
  error: v.nullable(v.object({ code: v.string(), message: v.string() })),
});

const Pass = v.object({
  pass: v.number(),
  total: v.number(),
  start: v.number(),
  dirtyRate: v.number(),
  transferredBefore: v.number(),
});

const Memory = v.object({
  pagesPerCell: v.number(),
  blocks: v.array(v.object({ name: v.string(), pages: v.number(), cells: v.number() })),
  /** In base64. */
  cells: v.pipe(v.string(), v.maxLength(256 * 1024)),
});

const Arriving = v.object({
  received: v.number(),
  rate: v.nullable(v.number()),
} satisfies { readonly [N in keyof IncomingSnapshot]?: unknown });

const Observation = v.object({
  info: Info,
  incoming: v.nullable(
    v.object({
      status: v.optional(v.string()),
      "socket-address": v.optional(v.array(Socket)),
      "error-desc": v.optional(v.string()),
    }),
  ),
  outgoing: v.nullable(Outgoing),
  arriving: v.nullable(Arriving),
  passes: v.array(Pass),
  memory: v.nullable(Memory),
});

/** What is shown of an OutgoingSnapshot, also of one of another release. */
export type Outgoing = v.InferOutput<typeof Outgoing>;

/** What an agent answers to `x-peregrine-observe`, as far as it is shown. */
export type Observation = v.InferOutput<typeof Observation>;

/** Errors: COMMAND_FAILED for the answer of another release. */
export function parseObservation(answer: unknown): Observation {
  const parsed = v.safeParse(Observation, answer);
  if (parsed.success) return parsed.output;
  const where = v.getDotPath(parsed.issues[0]) ?? "its answer";
  throw new MigrationError("COMMAND_FAILED", `The agent is of another release: ${where} is not understood`);
}

const Settings = v.looseObject({ "max-bandwidth": v.number(), "downtime-limit": v.number() });

const Capabilities = v.array(v.looseObject({ capability: v.string(), state: v.boolean() }));

/** What an outgoing migration is told to do. Bytes per second, milliseconds. */
export interface Settings {
  readonly bandwidth: number;
  readonly downtime: number;
  readonly autoConverge: boolean;
  readonly xbzrle: boolean;
}

/** @param parameters, @param capabilities what the two queries of the monitor answer. Errors: COMMAND_FAILED. */
export function parseSettings(parameters: unknown, capabilities: unknown): Settings {
  const values = v.safeParse(Settings, parameters);
  const states = v.safeParse(Capabilities, capabilities);
  if (!values.success || !states.success) {
    throw new MigrationError(
      "COMMAND_FAILED",
      "The agent is of another release: its parameters are not understood",
    );
  }
  const isOn = (name: string): boolean =>
    states.output.some(({ capability, state }) => capability === name && state);
  return {
    bandwidth: values.output["max-bandwidth"],
    downtime: values.output["downtime-limit"],
    autoConverge: isOn("auto-converge"),
    xbzrle: isOn("xbzrle"),
  };
}
