import { RUN_STATE_TRANSITIONS } from "@peregrine/shared-state";
import { oneOf } from "./definition.ts";
import type { Definition } from "./definition.ts";

const OWNERS = ["owner", "not-owner", "undecided"];
const RUN_STATES = Object.keys(RUN_STATE_TRANSITIONS);

/** Of the agent and its guest. */
export const AGENT_DEFINITIONS: readonly Definition[] = [
  {
    name: "peregrine_agent_info",
    kind: "gauge",
    help: "Always 1; the labels tell which guest this is the agent of, its machine type, and the agent's release.",
    labels: ["guest", "machine", "version"],
    read: ({ guest, machine, version }) => ({ labels: { guest, machine, version }, value: 1 }),
  },
  {
    name: "peregrine_guests",
    kind: "gauge",
    help: "Guests that belong to this agent: 1, or 0 while it is awaited, being handed over, or elsewhere.",
    read: ({ owner }) => Number(owner === "owner"),
  },
  {
    name: "peregrine_guest_owner",
    kind: "gauge",
    help: "1 for which side has the guest as far as this agent knows: owner is this one.",
    labels: ["owner"],
    read: ({ owner }) => oneOf(OWNERS, owner),
  },
  {
    name: "peregrine_guest_state",
    kind: "gauge",
    help: "1 for the run state of the guest.",
    labels: ["state"],
    read: ({ runState }) => oneOf(RUN_STATES, runState),
  },
  {
    name: "peregrine_guest_memory_bytes",
    kind: "gauge",
    help: "Guest memory in use.",
    read: ({ memory }) => memory,
  },
];
