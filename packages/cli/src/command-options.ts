import type { Preopen } from "@peregrine/machine-wasm";

/** What `run` and `receive` have in common. */
export interface AgentCommandOptions {
  readonly name: string | undefined;
  readonly directories: readonly Preopen[];
  /** Addresses of more monitors, as URIs. */
  readonly monitors: readonly string[];
  readonly keep: boolean;
  /** Does not start the guest: `-S`. */
  readonly paused: boolean;
}

export interface RunOptions extends AgentCommandOptions {
  /** Path of the module. */
  readonly program: string;
  readonly args: readonly string[];
  /** `KEY=VALUE` each. */
  readonly environment: readonly string[];
  readonly stackMib: number;
  /** False: runs the module as it is, and it stays here. */
  readonly migratable: boolean;
}

export interface ReceiveOptions extends AgentCommandOptions {
  readonly uri: string;
}

export interface MigrateOptions {
  readonly name: string;
  readonly uri: string;
  /** Bytes per second; 0 is unlimited. */
  readonly bandwidth: number;
  /** Milliseconds; undefined leaves what the agent has. */
  readonly downtime: number | undefined;
  readonly json: boolean;
}

/** What the commands do. Each resolves with the exit status; errors are MigrationErrors. */
export interface CommandHandlers {
  run(options: RunOptions): Promise<number>;
  receive(options: ReceiveOptions): Promise<number>;
  migrate(options: MigrateOptions): Promise<number>;
  cancel(name: string): Promise<number>;
  info(name: string, options: { readonly json: boolean }): Promise<number>;
  list(options: { readonly json: boolean }): Promise<number>;
  stop(name: string): Promise<number>;
  cont(name: string): Promise<number>;
  quit(name: string): Promise<number>;
}
