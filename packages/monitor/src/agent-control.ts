/** What an agent lets a monitor do. Agents fit it by shape; they do not depend on the monitor. */

/** Run states of the guest. */
export type RunState =
  | "inmigrate"
  | "prelaunch"
  | "running"
  | "paused"
  | "finish-migrate"
  | "postmigrate"
  | "shutdown"
  | "internal-error";

export interface GuestStatus {
  readonly status: RunState;
  readonly running: boolean;
}

export type MigrationStatus =
  | "none"
  | "setup"
  | "active"
  | "cancelling"
  | "cancelled"
  | "completed"
  | "failed";

/** Counts of pages and bytes of guest memory, with the names `query-migrate` uses. */
export interface RamStatistics {
  /** Bytes sent. */
  readonly transferred: number;
  /** Bytes of dirty guest memory. */
  readonly remaining: number;
  /** Bytes of guest memory. */
  readonly total: number;
  /** Zero pages. */
  readonly duplicate: number;
  readonly skipped: number;
  /** Pages sent whole. */
  readonly normal: number;
  readonly "normal-bytes": number;
  /** Pages per second. */
  readonly "dirty-pages-rate": number;
  /** Megabits per second on the wire. */
  readonly mbps: number;
  /** How often the dirty log was harvested: the number of the pass. */
  readonly "dirty-sync-count"?: number;
  readonly "page-size"?: number;
}

/**
 * The answer of `query-migrate`: the agent fills in the keys that belong to the state, the monitor
 * sends them as they are. Times are milliseconds.
 */
export interface MigrationInfo {
  /** Missing in the state `none`; `active` while it is being cancelled. */
  readonly status?: Exclude<MigrationStatus, "none" | "cancelling">;
  readonly "total-time"?: number;
  readonly "expected-downtime"?: number;
  readonly downtime?: number;
  readonly "setup-time"?: number;
  readonly ram?: RamStatistics;
  readonly "cpu-throttle-percentage"?: number;
  readonly "error-desc"?: string;
  readonly [later: string]: unknown;
}

export interface MigrationParameters {
  /** Bytes per second, 0 is unlimited. */
  readonly "max-bandwidth": number;
  /** Milliseconds. */
  readonly "downtime-limit": number;
}

/** Every capability that is built, with its state. Only these can be set. */
export interface CapabilityStates {
  readonly events: boolean;
  readonly [later: string]: boolean;
}

/** Whether this agent holds the guest. */
export type Ownership = "owner" | "not-owner" | "undecided";

/** Everything `peregrine info` shows. */
export interface AgentInfo {
  /** Name the guest was given, or null. */
  readonly name: string | null;
  readonly pid: number;
  /** Machine type of the configuration section, for example `wasm-1`. */
  readonly machine: string;
  /** What the guest runs: the path of the module, or what the source called it. */
  readonly program: string | null;
  readonly status: RunState;
  /** Whether the guest was started here or is being received. */
  readonly role: "source" | "destination";
  readonly owner: Ownership;
  /** Bytes of guest memory in use. */
  readonly memory: number;
  readonly migration: MigrationInfo;
}

export type AgentEvent =
  | { readonly kind: "stop" }
  | { readonly kind: "resume" }
  | { readonly kind: "migration"; readonly status: MigrationStatus }
  | { readonly kind: "migration-pass"; readonly pass: number }
  | { readonly kind: "shutdown"; readonly guest: boolean; readonly reason: ShutdownReason };

/** `host-qmp-quit`: the monitor said so; `guest-shutdown`: the program ended; `host-signal`: a signal. */
export type ShutdownReason =
  | "host-qmp-quit"
  | "guest-shutdown"
  | "guest-panic"
  | "host-signal"
  | "host-error";

type MaybePromise<T> = T | Promise<T>;

/** Refusals are MigrationErrors; their message is what the monitor's client reads. */
export interface AgentControl {
  queryStatus(): MaybePromise<GuestStatus>;
  /** Resolves when no instruction of the guest runs any more. */
  stop(): MaybePromise<void>;
  cont(): MaybePromise<void>;
  /** Asks the process to end. Returns before it does, so that the answer can be sent. */
  quit(): MaybePromise<void>;
  /** Returns as soon as the attempt is under way. */
  migrate(uri: string): MaybePromise<void>;
  /** Does nothing when no migration is under way. */
  cancelMigration(): MaybePromise<void>;
  queryMigrate(): MaybePromise<MigrationInfo>;
  /** Bytes per second, not negative; 0 is unlimited. Takes effect at once. */
  setSpeed(bytesPerSecond: number): MaybePromise<void>;
  /** Tolerated downtime in seconds, 0 … 2^64−1 ns. */
  setDowntime(seconds: number): MaybePromise<void>;
  /** Changes what is given, all of it or nothing. */
  setParameters(parameters: Partial<MigrationParameters>): MaybePromise<void>;
  queryParameters(): MaybePromise<MigrationParameters>;
  setCapabilities(states: Partial<CapabilityStates>): MaybePromise<void>;
  queryCapabilities(): CapabilityStates;
  info(): MaybePromise<AgentInfo>;
  /** Calls `listener` for every event, also migration events nobody asked for. Returns how to stop that. */
  subscribe(listener: (event: AgentEvent) => void): () => void;
}
