import type { Preopen } from "@peregrine/machine-wasm";
import type { DashboardAddress } from "@peregrine/dashboard";
import type { AccessToken, OpeningPolicy } from "@peregrine/monitor";
import type { DriveOptions } from "@peregrine/node-host";
import type { MultifdCompression } from "@peregrine/protocol";
import type { MigrateRequest } from "@peregrine/shared-state";
import type { ObjectProperties } from "@peregrine/transport";
import type { HookOptions } from "./hooks/guest-hooks.ts";
import type { DoctorOptions } from "./doctor-options.ts";
import type { InspectOptions } from "./inspect-options.ts";
import type { LogOptions } from "./log/log-options.ts";
import type { MetricsAddress } from "./metrics/metrics-address.ts";
import type { ArrivalTls, SendTls } from "./tls-options.ts";

/** MiB of stack that a guest has unless told otherwise. */
export const DEFAULT_STACK_MIB = 64;

/** More monitors, beside the one that commands with the guest's name use. */
export interface MonitorOptions {
  /** Where programs are served, as URIs. */
  readonly qmp: readonly string[];
  /** Where people are served, as URIs. */
  readonly human: readonly string[];
  /** Origins of pages of other machines that may connect by WebSocket. */
  readonly origins: readonly string[];
  /** What clients have to give that come over the network. */
  readonly token: AccessToken | undefined;
  /** TLS of monitors at `tcp:`. */
  readonly tls: ArrivalTls;
  /** Where pages are served. */
  readonly dashboard: DashboardAddress | undefined;
  /** What clients may have the agent open. */
  readonly opening: OpeningPolicy;
}

/** Where the figures of an agent are served to Prometheus. */
export interface MetricsOptions {
  readonly addresses: readonly MetricsAddress[];
  /** What those have to give who come over the network. */
  readonly token: AccessToken | undefined;
}

/** What every command that becomes an agent has. */
export interface AgentCommandOptions {
  readonly name: string | undefined;
  readonly monitors: MonitorOptions;
  readonly metrics: MetricsOptions;
  readonly log: LogOptions;
  /** For TLS. */
  readonly objects: readonly ObjectProperties[];
  readonly keep: boolean;
  /** Milliseconds of silence after which the other side of a migration counts as dead; 0: never. */
  readonly silence: number;
}

/** A network interface that the guest is known by. */
export interface NicOptions {
  readonly id: string | undefined;
  /** `52:54:00:12:34:56` */
  readonly mac: string;
  /** `stream:tcp:HOST:PORT`, `stream:unix:PATH`, `dgram:HOST:PORT` or `dgram:unix:PATH`. */
  readonly netdev: string;
}

/** For a guest that runs here. */
export interface GuestOptions {
  /** Directory in which it is kept who has the guest. */
  readonly state: string | undefined;
  readonly directories: readonly Preopen[];
  readonly drives: readonly DriveOptions[];
  readonly nics: readonly NicOptions[];
  readonly hooks: HookOptions;
  /** Does not start the guest: `-S`. */
  readonly paused: boolean;
}

/** What of a stream is taken. */
export interface IntakeOptions {
  /** Connections beside the first one; 0: none are accepted. */
  readonly channels: number;
  /** Bytes of guest memory; a guest that needs more is refused. Undefined: what is free. */
  readonly maxRam: number | undefined;
  readonly arrivalTls: ArrivalTls;
}

/** For a guest that is awaited. */
export interface ArrivalOptions extends IntakeOptions {
  /** Where it is awaited, or `defer`. */
  readonly uri: string;
  /** Whether the agent ends when the guest could not be loaded. */
  readonly exitOnError: boolean;
}

/** How a guest is sent. */
export interface SendOptions {
  /** Bytes per second; 0 is unlimited. */
  readonly bandwidth: number;
  /** Milliseconds; undefined leaves what the agent has. */
  readonly downtime: number | undefined;
  readonly xbzrle: boolean;
  /** Bytes of the pages that are kept for it, a power of two; undefined leaves what the agent has. */
  readonly xbzrleCache: number | undefined;
  /** Slows the guest down where it dirties more than can be sent. */
  readonly autoConverge: boolean;
  /** Connections beside the first one; 0: none. */
  readonly channels: number;
  readonly compression: MultifdCompression;
  /** Whether the destination is to confirm that it has the guest. */
  readonly returnPath: boolean;
  /** Writes each page to its own place in a file. */
  readonly mappedRam: boolean;
  readonly tls: SendTls;
}

export interface RunOptions extends AgentCommandOptions, GuestOptions {
  /** Path of the module. */
  readonly program: string;
  readonly args: readonly string[];
  /** `KEY=VALUE` each. */
  readonly environment: readonly string[];
  readonly stackMib: number;
  /** False: runs the module as it is, and it stays here. */
  readonly migratable: boolean;
}

export interface ReceiveGuestOptions extends AgentCommandOptions, GuestOptions, ArrivalOptions {
  readonly machine: "wasm";
  /** Whether the guest may have directories that were not given, at the paths that the source names. */
  readonly sourceDirectories: boolean;
}

/** For a virtual machine that is kept here and does not run. */
export interface ReceiveImageOptions extends AgentCommandOptions, ArrivalOptions {
  readonly machine: "image";
  /** Directory in which it is kept who has the virtual machine. */
  readonly state: string | undefined;
  readonly uuid: Uint8Array | undefined;
  /** Directory in which the image is kept, too. */
  readonly store: string | undefined;
}

export type ReceiveOptions = ReceiveGuestOptions | ReceiveImageOptions;

export interface RelayOptions extends AgentCommandOptions, IntakeOptions {
  readonly from: string;
  readonly to: string;
  readonly uuid: Uint8Array | undefined;
  readonly send: SendOptions;
  readonly json: boolean;
}

/** What is done about a migration that takes too long. */
export interface TimeLimit {
  readonly seconds: number;
  /** `force`: stops the guest for what is left; `throttle`: slows it down. */
  readonly action: "cancel" | "force" | "throttle";
}

export interface MigrateOptions {
  readonly name: string;
  readonly uri: string;
  readonly send: SendOptions;
  readonly request: MigrateRequest;
  /** That the agent is to have; they take the place of others with the same ids. */
  readonly objects: readonly ObjectProperties[];
  readonly timeLimit: TimeLimit | undefined;
  readonly json: boolean;
}

export interface CheckpointOptions {
  readonly name: string;
  /** Path of a new file. */
  readonly file: string;
  readonly storage: MigrateRequest["storage"];
  /** The guest goes on here. */
  readonly leaveRunning: boolean;
  readonly json: boolean;
}

/** What is done about a guest whose hand-over was cut off. */
export interface ResolveOptions {
  /** Undefined: what is known is shown, and nothing is done. */
  readonly as: "owner" | "gone" | undefined;
  /** Name of the agent at the other side, if it is of this host. */
  readonly peer: string | undefined;
  /** Directories in which agents that have ended have left what they knew. */
  readonly state: string | undefined;
  readonly peerState: string | undefined;
  /** Also against what the other side says. */
  readonly force: boolean;
}

/** The guest's own monitor by the guest's name, or one at an address. */
export type MonitorTarget =
  | { readonly kind: "guest"; readonly name: string }
  | { readonly kind: "address"; readonly uri: string };

export interface MonitorCommandOptions {
  readonly target: MonitorTarget;
  /** For a monitor that wants one. */
  readonly token: string | undefined;
  /** For a monitor that has TLS. */
  readonly objects: readonly ObjectProperties[];
  readonly tls: SendTls;
}

export interface DashboardCommandOptions {
  readonly address: DashboardAddress;
  /** What pages have to give. Undefined: one is made. */
  readonly token: string | undefined;
  /** Monitors of other agents, as URIs. */
  readonly agents: readonly string[];
  /** For those that want one. */
  readonly agentToken: string | undefined;
  /** For those that have TLS. */
  readonly objects: readonly ObjectProperties[];
  readonly tls: SendTls;
  /** What pages may have agents open. */
  readonly policy: OpeningPolicy;
}

export interface InfoOptions {
  /** Shows the last migration that ended, on whichever side. */
  readonly completed: boolean;
  readonly json: boolean;
}

/** What the commands do. Each resolves with the exit status; errors are MigrationErrors. */
export interface CommandHandlers {
  run(options: RunOptions): Promise<number>;
  receive(options: ReceiveOptions): Promise<number>;
  relay(options: RelayOptions): Promise<number>;
  migrate(options: MigrateOptions): Promise<number>;
  checkpoint(options: CheckpointOptions): Promise<number>;
  cancel(name: string): Promise<number>;
  doctor(options: DoctorOptions): Promise<number>;
  inspect(options: InspectOptions): Promise<number>;
  resolve(name: string, options: ResolveOptions): Promise<number>;
  info(name: string, options: InfoOptions): Promise<number>;
  list(options: { readonly json: boolean }): Promise<number>;
  monitor(options: MonitorCommandOptions): Promise<number>;
  dashboard(options: DashboardCommandOptions): Promise<number>;
  stop(name: string): Promise<number>;
  cont(name: string): Promise<number>;
  quit(name: string): Promise<number>;
}

/** Takes the exit status of a command. */
export type Finish = (status: number) => void;
