import type { Preopen } from "@peregrine/machine-wasm";
import type { MultifdCompression } from "@peregrine/protocol";
import type { InspectOptions } from "./inspect-options.ts";

/** What every command that becomes an agent has. */
export interface AgentCommandOptions {
  readonly name: string | undefined;
  /** Addresses of more monitors, as URIs. */
  readonly monitors: readonly string[];
  readonly keep: boolean;
}

/** For a guest that runs here. */
export interface GuestOptions {
  readonly directories: readonly Preopen[];
  /** Does not start the guest: `-S`. */
  readonly paused: boolean;
}

/** What of a stream is taken. */
export interface IntakeOptions {
  /** Connections beside the first one; 0: none are accepted. */
  readonly channels: number;
  /** Bytes of guest memory; a stream with more is refused. */
  readonly maxRam: number;
}

/** How a guest is sent. */
export interface SendOptions {
  /** Bytes per second; 0 is unlimited. */
  readonly bandwidth: number;
  /** Milliseconds; undefined leaves what the agent has. */
  readonly downtime: number | undefined;
  readonly xbzrle: boolean;
  /** Connections beside the first one; 0: none. */
  readonly channels: number;
  readonly compression: MultifdCompression;
  /** Whether the destination is to confirm that it has the guest. */
  readonly returnPath: boolean;
  /** Writes each page to its own place in a file. */
  readonly mappedRam: boolean;
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

export interface ReceiveGuestOptions extends AgentCommandOptions, GuestOptions, IntakeOptions {
  readonly machine: "wasm";
  readonly uri: string;
}

/** For a virtual machine that is kept here and does not run. */
export interface ReceiveImageOptions extends AgentCommandOptions, IntakeOptions {
  readonly machine: "image";
  readonly uri: string;
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

export interface MigrateOptions {
  readonly name: string;
  readonly uri: string;
  readonly send: SendOptions;
  readonly json: boolean;
}

/** What the commands do. Each resolves with the exit status; errors are MigrationErrors. */
export interface CommandHandlers {
  run(options: RunOptions): Promise<number>;
  receive(options: ReceiveOptions): Promise<number>;
  relay(options: RelayOptions): Promise<number>;
  migrate(options: MigrateOptions): Promise<number>;
  cancel(name: string): Promise<number>;
  inspect(options: InspectOptions): Promise<number>;
  info(name: string, options: { readonly json: boolean }): Promise<number>;
  list(options: { readonly json: boolean }): Promise<number>;
  stop(name: string): Promise<number>;
  cont(name: string): Promise<number>;
  quit(name: string): Promise<number>;
}

/** Takes the exit status of a command. */
export type Finish = (status: number) => void;
