import { MigrationError } from "@peregrine/protocol";
import type {
  AgentControl,
  AgentEvent,
  AgentInfo,
  CapabilityStates,
  GuestStatus,
  MigrationInfo,
  MigrationParameters,
} from "../src/agent-control.ts";

/** An agent without a guest: it remembers what it was told. */
export class FakeAgent implements AgentControl {
  readonly calls: unknown[][] = [];
  readonly #listeners = new Set<(event: AgentEvent) => void>();
  name: string | null = "lua";
  running = true;
  /** What the next refusable call is refused with. */
  refusal: Error | undefined;
  /** What `stop` waits for. */
  stopping: Promise<void> = Promise.resolve();
  migration: MigrationInfo = {};
  parameters: MigrationParameters = { "max-bandwidth": 32 << 20, "downtime-limit": 30 };
  capabilities: CapabilityStates = { events: false };

  get listeners(): number {
    return this.#listeners.size;
  }

  emit(event: AgentEvent): void {
    for (const listener of this.#listeners) listener(event);
  }

  queryStatus(): GuestStatus {
    return { status: this.running ? "running" : "paused", running: this.running };
  }

  async stop(): Promise<void> {
    await this.stopping;
    this.running = false;
    this.emit({ kind: "stop" });
  }

  cont(): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.running = true;
    this.emit({ kind: "resume" });
  }

  quit(): void {
    this.calls.push(["quit"]);
    this.emit({ kind: "shutdown", guest: false, reason: "host-qmp-quit" });
  }

  async migrate(uri: string): Promise<void> {
    this.calls.push(["migrate", uri]);
    if (this.refusal !== undefined) throw this.refusal;
    this.emit({ kind: "migration", status: "setup" });
    this.emit({ kind: "migration-pass", pass: 1 });
  }

  cancelMigration(): void {
    this.calls.push(["cancelMigration"]);
  }

  queryMigrate(): MigrationInfo {
    return this.migration;
  }

  setSpeed(bytesPerSecond: number): void {
    this.calls.push(["setSpeed", bytesPerSecond]);
  }

  setDowntime(seconds: number): void {
    this.calls.push(["setDowntime", seconds]);
  }

  setParameters(parameters: Partial<MigrationParameters>): void {
    this.parameters = { ...this.parameters, ...parameters };
  }

  async queryParameters(): Promise<MigrationParameters> {
    return this.parameters;
  }

  setCapabilities(states: Partial<CapabilityStates>): void {
    if (this.migration.status === "active") {
      throw new MigrationError("IN_PROGRESS", "There's a migration process in progress");
    }
    this.capabilities = { events: states.events ?? this.capabilities.events };
  }

  queryCapabilities(): CapabilityStates {
    return this.capabilities;
  }

  async info(): Promise<AgentInfo> {
    return {
      name: this.name,
      pid: 4711,
      machine: "wasm-1",
      program: "lua.wasm",
      status: "running",
      role: "source",
      owner: "owner",
      memory: 16 << 20,
      migration: this.migration,
    };
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
