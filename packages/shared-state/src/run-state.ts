/** What the guest of an agent is doing. */
export type RunState =
  /** A migration comes in, or is waited for. */
  | "inmigrate"
  /** Never started yet. */
  | "prelaunch"
  | "running"
  | "paused"
  /** Stopped so that the rest of its state can be sent. */
  | "finish-migrate"
  /** Sent completely; it should run at the destination now. */
  | "postmigrate"
  /** The guest program ended. */
  | "shutdown"
  /** The agent can no longer answer for the guest. */
  | "internal-error";

/** Every change of the run state that there is. */
export const RUN_STATE_TRANSITIONS: Readonly<Record<RunState, readonly RunState[]>> = {
  inmigrate: ["running", "paused", "prelaunch", "postmigrate", "shutdown", "internal-error"],
  prelaunch: ["running", "finish-migrate", "shutdown", "internal-error"],
  running: ["paused", "finish-migrate", "shutdown", "internal-error"],
  paused: ["running", "finish-migrate", "shutdown", "internal-error"],
  "finish-migrate": ["running", "paused", "prelaunch", "postmigrate", "shutdown", "internal-error"],
  postmigrate: ["running", "shutdown", "internal-error"],
  shutdown: [],
  "internal-error": ["shutdown"],
};

/** A state that a guest can be migrated in, and that it has again at the destination. */
export type MigratableRunState = "running" | "paused" | "prelaunch";

/** Whether a guest in this run state can be sent. */
export function isMigratable(state: string): state is MigratableRunState {
  return state === "running" || state === "paused" || state === "prelaunch";
}
