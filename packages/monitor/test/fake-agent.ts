import { MigrationCapabilities, MigrationParameters } from "@peregrine/shared-state";
import type {
  AnnounceRequest,
  CapabilityChange,
  CapabilityState,
  IncomingInfo,
  MigrateRequest,
  MigrationInfo,
  MigrationStatus,
  ParameterValues,
} from "@peregrine/shared-state";
import type {
  AgentControl,
  AgentEvent,
  AgentInfo,
  AgentObservation,
  GuestStatus,
} from "../src/agent-control.ts";

/** Bytes of memory that the guest would have. */
export const FAKE_RAM_BYTES = 16 << 20;

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
  /** Told instead while a guest is to arrive. */
  incoming: IncomingInfo | undefined;
  status: MigrationStatus = "none";
  readonly parameters = new MigrationParameters();
  readonly capabilities = new MigrationCapabilities();

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
    this.emit({ name: "STOP" });
  }

  cont(): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.running = true;
    this.emit({ name: "RESUME" });
  }

  quit(): void {
    this.calls.push(["quit"]);
    this.emit({ name: "SHUTDOWN", data: { guest: false, reason: "host-qmp-quit" } });
  }

  async migrate(uri: string, request?: MigrateRequest): Promise<void> {
    this.calls.push(["migrate", uri, ...(request === undefined ? [] : [request])]);
    if (this.refusal !== undefined) throw this.refusal;
    this.emit({ name: "MIGRATION", data: { status: "setup" } });
    this.emit({ name: "MIGRATION_PASS", data: { pass: 1 } });
  }

  migrateIncoming(uri: string, exitOnError?: boolean): void {
    this.calls.push(["migrateIncoming", uri, exitOnError]);
    if (this.refusal !== undefined) throw this.refusal;
  }

  addDescriptor(name: string, descriptor: number): void {
    this.calls.push(["addDescriptor", name, descriptor]);
  }

  removeDescriptor(name: string): void {
    this.calls.push(["removeDescriptor", name]);
    if (this.refusal !== undefined) throw this.refusal;
  }

  addObject(properties: Readonly<Record<string, unknown>>): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.calls.push(["add-object", properties]);
  }

  removeObject(id: string): void {
    this.calls.push(["remove-object", id]);
  }

  announceSelf(request: AnnounceRequest): void {
    this.calls.push(["announceSelf", request]);
    if (this.refusal !== undefined) throw this.refusal;
  }

  copy(uri: string, tls?: boolean): void {
    this.calls.push(["copy", uri, tls]);
    if (this.refusal !== undefined) throw this.refusal;
  }

  switchOverNow(): void {
    this.calls.push(["switchOverNow"]);
  }

  convergeNow(): void {
    this.calls.push(["convergeNow"]);
  }

  resolve(as: "owner" | "gone"): void {
    if (this.refusal !== undefined) throw this.refusal;
    this.calls.push(["resolve", as]);
  }

  cancelMigration(): void {
    this.calls.push(["cancelMigration"]);
  }

  continueMigration(state: string): void {
    this.calls.push(["continueMigration", state]);
  }

  queryMigrate(): MigrationInfo | IncomingInfo {
    return this.incoming ?? this.migration;
  }

  setSpeed(bytesPerSecond: number): void {
    this.parameters.setSpeed(bytesPerSecond);
  }

  setDowntime(seconds: number): void {
    this.parameters.setDowntime(seconds);
  }

  setCacheSize(bytes: number): void {
    this.parameters.setCacheSize(bytes, FAKE_RAM_BYTES);
  }

  setParameters(changes: Readonly<Record<string, unknown>>): void {
    this.parameters.set(changes);
  }

  async queryParameters(): Promise<ParameterValues> {
    return this.parameters.values();
  }

  setCapabilities(changes: readonly CapabilityChange[]): void {
    this.capabilities.set(changes, this.status);
  }

  queryCapabilities(): readonly CapabilityState[] {
    return this.capabilities.list();
  }

  async observe(cells: number): Promise<AgentObservation> {
    const picture = {
      pagesPerCell: 1,
      blocks: [{ name: "ram", pages: 2, cells: 2 }],
      cells: new Uint8Array(6).fill(1),
    };
    return {
      info: await this.info(),
      incoming: null,
      outgoing: null,
      arriving: null,
      passes: [],
      memory: cells === 0 ? null : picture,
    };
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
      memory: FAKE_RAM_BYTES,
      migration: this.migration,
    };
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
