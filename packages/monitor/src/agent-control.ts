import type {
  AnnounceRequest,
  CapabilityChange,
  CapabilityState,
  IncomingInfo,
  IncomingSnapshot,
  MemoryPicture,
  MigrateRequest,
  MigrationInfo,
  MigrationStatus,
  OutgoingSnapshot,
  ParameterName,
  ParameterValues,
  PassRecord,
  ProgressInfo,
  RunEvent,
  RunState,
} from "@peregrine/shared-state";
import type { CommandClient } from "./command.ts";

/** The answer of `query-status`. */
export interface GuestStatus {
  readonly status: RunState;
  readonly running: boolean;
}

/** Which side may run the guest, as far as this agent knows. */
export type Ownership = "owner" | "not-owner" | "undecided";

/** Everything `peregrine info` shows. */
export interface AgentInfo {
  /** Name the guest was given, or null. */
  readonly name: string | null;
  readonly pid: number;
  /** Machine type of the configuration section, for example `wasm-1`. */
  readonly machine: string;
  /** What the guest runs: the path of the module, or what the source called it; null while nothing has arrived. */
  readonly program: string | null;
  readonly status: RunState;
  /** Whether the guest was started here or is being received. */
  readonly role: "source" | "destination";
  readonly owner: Ownership;
  /** Bytes of guest memory in use. */
  readonly memory: number;
  readonly migration: MigrationInfo;
}

/** Everything that a dashboard shows of an agent, in one look. */
export interface AgentObservation {
  readonly info: AgentInfo;
  /** Where a guest is awaited, or what has become of it; null where none is to arrive. */
  readonly incoming: IncomingInfo | null;
  /** How far the present or last outgoing migration is; null before the first one. */
  readonly outgoing: OutgoingSnapshot | null;
  /** How much has come of a guest that is to arrive; null where none is. */
  readonly arriving: IncomingSnapshot | null;
  /** The last passes of the present or last outgoing migration. */
  readonly passes: readonly PassRecord[];
  /** What has become of guest memory in it. Null if nobody asked, and before it is connected. */
  readonly memory: MemoryPicture | null;
}

/** Why the agent itself ends: the monitor's `quit`, a signal, or a failure of the agent. */
export type HostShutdownReason = "host-qmp-quit" | "host-signal" | "host-error";

/** One round of an announcement. */
export type AnnouncementData = {
  /** Name of the guest. */
  readonly guest: string;
  /** From 1 on. */
  readonly round: number;
  /** Those that were announced. Empty where the guest has none. */
  readonly interfaces: readonly { readonly id: string; readonly mac: string }[];
};

/** With the names that the monitor's events have. */
export type AgentEvent =
  | RunEvent
  | { readonly name: "MIGRATION"; readonly data: { readonly status: MigrationStatus } }
  | { readonly name: "MIGRATION_PASS"; readonly data: { readonly pass: number } }
  /** The guest is here now: for whoever routes its traffic. */
  | { readonly name: "ANNOUNCE"; readonly data: AnnouncementData }
  | {
      readonly name: "SHUTDOWN";
      readonly data: { readonly guest: false; readonly reason: HostShutdownReason };
    };

type MaybePromise<T> = T | Promise<T>;

/**
 * What an agent lets a monitor do. Refusals are MigrationErrors; their message is what the monitor's
 * client reads. The monitor checks the shape of arguments, the agent their values. A `client` that starts a
 * migration or asks about one is not left before it knows how that ended.
 */
export interface AgentControl {
  queryStatus(): MaybePromise<GuestStatus>;
  /** Resolves when no instruction of the guest runs any more. */
  stop(): MaybePromise<void>;
  cont(): MaybePromise<void>;
  /** Asks the process to end. Returns before it does, so that the answer can be sent. */
  quit(): MaybePromise<void>;
  /** Returns as soon as the attempt is under way. */
  migrate(uri: string, request?: MigrateRequest, client?: CommandClient): MaybePromise<void>;
  /** Stops the guest for what is left, however much it is. Does nothing when no migration is under way. */
  switchOverNow(): MaybePromise<void>;
  /** Slows the guest down from now on, as far as it takes for the migration to end. Does nothing when none is under way. */
  convergeNow(): MaybePromise<void>;
  /**
   * Begins to wait for a guest; resolves when it listens. `exitOnError`: whether the agent ends when the guest could
   * not be loaded. Default: as the command line said.
   */
  migrateIncoming(uri: string, exitOnError?: boolean): MaybePromise<void>;
  /** Keeps a descriptor for a migration to or from `fd:NAME`. It is the agent's, also when it is refused. */
  addDescriptor(name: string, descriptor: number): MaybePromise<void>;
  /** Closes one that was kept. */
  removeDescriptor(name: string): MaybePromise<void>;
  /** Makes an object for TLS, and reads its files. */
  addObject(properties: Readonly<Record<string, unknown>>): MaybePromise<void>;
  /** Forgets an object. What is under way with it goes on. */
  removeObject(id: string): MaybePromise<void>;
  /** Tells the networks of the guest that it is here. Does not wait for the later rounds. */
  announceSelf(request: AnnounceRequest): MaybePromise<void>;
  /**
   * Sends a copy of a virtual machine that is held; resolves when all of it is sent.
   * @param tls false: without TLS, whatever the parameters name. Default: as a migration.
   */
  copy(uri: string, tls?: boolean): MaybePromise<void>;
  /** An operator has found out who has the guest, where the hand-over was cut off. */
  resolve(as: "owner" | "gone"): MaybePromise<void>;
  /** Does nothing when no migration is under way. */
  cancelMigration(): MaybePromise<void>;
  /** Lets a migration that has paused in `state` go on. */
  continueMigration(state: string): MaybePromise<void>;
  /** Of the outgoing migration; before the first one of the incoming one, if a guest was to arrive. */
  queryMigrate(client?: CommandClient): MaybePromise<(MigrationInfo | IncomingInfo) & ProgressInfo>;
  /** Bytes per second; negative becomes 0, which is unlimited. Takes effect at once. */
  setSpeed(bytesPerSecond: number): MaybePromise<void>;
  /** Tolerated downtime in seconds, held to 0 … 2^64−1 ns. */
  setDowntime(seconds: number): MaybePromise<void>;
  /** Bytes of the XBZRLE cache, rounded down to a power of two; at most as many as the guest has memory. */
  setCacheSize(bytes: number): MaybePromise<void>;
  /** Checks the values, then sets all of them or none. */
  setParameters(changes: { readonly [N in ParameterName]?: unknown }): MaybePromise<void>;
  queryParameters(): MaybePromise<ParameterValues>;
  /** Checks the names, then sets all of them or none. */
  setCapabilities(changes: readonly CapabilityChange[]): MaybePromise<void>;
  /** Every capability that is built. Asked for at every event of a migration, so not by a promise. */
  queryCapabilities(): readonly CapabilityState[];
  info(client?: CommandClient): MaybePromise<AgentInfo>;
  /**
   * For a dashboard, which looks again and again. Unlike {@link info} it does not count as having asked how a migration
   * went.
   * @param cells that the picture of guest memory may have; 0: none.
   */
  observe(cells: number, client?: CommandClient): MaybePromise<AgentObservation>;
  /** Calls `listener` for every event, also migration events nobody asked for. Returns how to stop that. */
  subscribe(listener: (event: AgentEvent) => void): () => void;
}
