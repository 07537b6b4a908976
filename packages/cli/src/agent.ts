import type { IncomingMigration } from "@peregrine/dest-agent";
import type {
  AgentControl,
  AgentEvent,
  AgentObservation,
  CommandClient,
  GuestStatus,
  HostShutdownReason,
} from "@peregrine/monitor";
import type {
  AnnounceRequest,
  CapabilityChange,
  CapabilityName,
  CapabilityState,
  IncomingInfo,
  IncomingSnapshot,
  MigrateRequest,
  MigrationInfo,
  MigrationStatus,
  ParameterValues,
  ProgressInfo,
  RunControl,
} from "@peregrine/shared-state";
import { MigrationError } from "@peregrine/protocol";
import { isUnderWay, Listeners } from "@peregrine/shared-state";
import { OutgoingMigration } from "@peregrine/source-agent";
import type { OutgoingMigrationEvent } from "@peregrine/source-agent";
import { NamedDescriptors, parseUri, SecurityObjects } from "@peregrine/transport";
import type { AgentEnd } from "./agent-end.ts";
import type { AgentOptions, AgentTrace, MigrationTrace } from "./agent-options.ts";
import type { AgentReport } from "./agent-report.ts";
import { AgentView } from "./agent-view.ts";
import type { GuestMachine } from "./guest-machine.ts";
import { arrivalAt } from "./arrival-settings.ts";
import type { ArrivalSettings } from "./arrival-settings.ts";
import { GuestNetwork } from "./guest-network.ts";
import type { GuestHooks } from "./hooks/guest-hooks.ts";
import { copyHeldImage } from "./image-copy.ts";
import { OutcomeReaders } from "./outcome-readers.ts";

/** How long a guest has been here when what it would be sent by is started. Milliseconds. */
const PREPARE_MS = 1000;

/** One guest with everything that can be done to it: what its monitor serves. */
export class Agent implements AgentControl {
  /** Resolves when the agent is to end. Nothing is closed by then. */
  readonly ended: Promise<AgentEnd>;
  readonly network: GuestNetwork;
  /** What can be seen of it. */
  readonly view: AgentView;
  readonly #hooks: GuestHooks | undefined;
  readonly #machine: GuestMachine;
  readonly #run: RunControl;
  readonly #incoming: IncomingMigration | undefined;
  readonly #arrival: ArrivalSettings;
  #exitOnError: boolean;
  readonly #keep: boolean;
  readonly #outgoing: OutgoingMigration;
  readonly #descriptors = new NamedDescriptors();
  readonly #objects: SecurityObjects;
  readonly #listeners = new Listeners<AgentEvent>();
  readonly #traceListeners = new Listeners<AgentTrace>();
  readonly #end: (end: AgentEnd) => void;
  /** Of the last migration. */
  readonly #readers = new OutcomeReaders();
  #target: string | undefined;

  constructor(options: AgentOptions) {
    const { name, machine, run, incoming, keep } = options;
    this.#machine = machine;
    this.#run = run;
    this.#incoming = incoming;
    this.#arrival = { channels: options.channels ?? 0, intakeTls: options.intakeTls };
    this.#exitOnError = options.exitOnError ?? true;
    this.#keep = keep;
    this.#hooks = options.hooks;
    const { promise, resolve } = Promise.withResolvers<AgentEnd>();
    this.ended = promise;
    this.#end = resolve;
    const { ledger, silence, extensions } = options;
    this.#objects = options.objects ?? new SecurityObjects();
    this.#outgoing = new OutgoingMigration({
      machine,
      run,
      descriptors: this.#descriptors,
      objects: this.#objects,
      ...(ledger === undefined ? {} : { ledger }),
      ...(extensions === undefined ? {} : { extensions }),
      ...(options.passedOn === undefined ? {} : { passedOn: options.passedOn }),
      ...(silence === undefined ? {} : { timeouts: { silence } }),
    });
    this.network = new GuestNetwork({
      name,
      machine,
      interfaces: options.interfaces ?? [],
      outgoing: this.#outgoing,
      awaited: incoming !== undefined,
      publish: (event) => this.#publish(event),
    });
    const { network } = this;
    this.view = new AgentView({
      name,
      machine,
      run,
      incoming,
      outgoing: this.#outgoing,
      network,
      hooks: options.hooks,
    });
    this.#outgoing.subscribe((event) => this.#onMigration(event));
    incoming?.subscribe((status) => this.#tellStatus("incoming", status));
    run.subscribe((event) => this.#publish(event));
    void this.#watchGuest();
  }

  /** Its capabilities, parameters and counters, and how the last attempt ended. */
  get outgoing(): OutgoingMigration {
    return this.#outgoing;
  }

  /** Where the guest was sent last. */
  get target(): string | undefined {
    return this.#target;
  }

  /** Whether the guest is known to be elsewhere: at a destination that has said so, or in a file on the disk. */
  get hasMoved(): boolean {
    if (this.#run.handedOver) return true;
    if (this.#outgoing.status !== "completed" || this.#outgoing.copied) return false;
    return this.#outgoing.confirmed || (this.#target !== undefined && parseUri(this.#target).kind === "file");
  }

  /** Whether it ends when the guest could not be loaded. */
  get exitsOnError(): boolean {
    return this.#exitOnError;
  }

  /** Asks the agent to end. The first reason counts. */
  end(end: AgentEnd): void {
    this.#end(end);
  }

  /** Ends what is under way, in either direction; a guest that was being sent belongs to one side afterwards. */
  async settle(): Promise<void> {
    await Promise.all([this.#outgoing.dispose(), this.#incoming?.close()]);
  }

  /** Ends the guest. Nothing of it runs afterwards, nor what is run when it leaves. */
  async dispose(): Promise<void> {
    this.network.leave();
    this.#descriptors.close();
    await this.#machine.dispose();
    this.#hooks?.left("ended");
    await this.#hooks?.settled();
  }

  /** Tells the monitor's clients that the agent ends for a reason that is not its guest's. */
  announceEnd(reason: HostShutdownReason): void {
    this.#publish({ name: "SHUTDOWN", data: { guest: false, reason } });
  }

  queryStatus(): GuestStatus {
    const status = this.#run.state;
    return { status, running: status === "running" };
  }

  stop(): Promise<void> {
    return this.#run.stop("paused");
  }

  cont(): Promise<void> {
    return this.#run.cont();
  }

  quit(): void {
    this.#end({ kind: "quit" });
  }

  migrate(uri: string, request?: MigrateRequest, client?: CommandClient): void {
    this.#requireDecided();
    this.#outgoing.migrate(uri, request);
    // Connecting happens afterwards, so nothing has ended yet.
    this.#target = uri;
    this.#readers.begin(client);
  }

  /**
   * Begins to wait for the guest, where the command line left that to the monitor.
   * Errors: WRONG_STATE when no guest is to arrive; IN_PROGRESS; those of listening, after which another address
   * can be tried.
   */
  async migrateIncoming(uri: string, exitOnError = this.#exitOnError): Promise<void> {
    if (this.#incoming === undefined) {
      throw new MigrationError("WRONG_STATE", "'-incoming' was not specified on the command line");
    }
    const how = arrivalAt(uri, this.#arrival, this.#outgoing, this.#objects);
    await this.#incoming.listen({ uri, descriptors: this.#descriptors, ...how });
    this.#exitOnError = exitOnError;
  }

  addDescriptor(name: string, descriptor: number): void {
    this.#descriptors.add(name, descriptor);
  }

  removeDescriptor(name: string): void {
    this.#descriptors.remove(name);
  }

  addObject(properties: Readonly<Record<string, unknown>>): Promise<void> {
    return this.#objects.add(properties);
  }

  removeObject(id: string): void {
    this.#objects.remove(id);
  }

  announceSelf(request: AnnounceRequest): void {
    this.network.announce(request);
  }

  /**
   * Sends a copy of a virtual machine that is held; it stays here. Resolves when all of it is sent.
   * Errors: WRONG_STATE for a guest that runs here or has not arrived; IN_PROGRESS; those of the sending.
   */
  async copy(uri: string, tls = true): Promise<void> {
    this.#requireDecided();
    await copyHeldImage(this.#machine, this.#run, this.#outgoing, uri, tls ? this.#objects : undefined);
  }

  switchOverNow(): void {
    this.#outgoing.switchOverNow();
  }

  convergeNow(): void {
    this.#outgoing.convergeNow();
  }

  /** Errors: WRONG_STATE when it is known who has the guest; those of starting it. */
  async resolve(as: "owner" | "gone"): Promise<void> {
    if (this.#incoming?.query().kind === "undecided") {
      await this.#incoming.resolve(as);
      this.ownershipChanged();
      return;
    }
    await this.#outgoing.resolve(as);
    this.ownershipChanged();
    if (as === "gone") this.#moved();
  }

  cancelMigration(): void {
    this.#outgoing.cancel();
  }

  continueMigration(state: string): void {
    this.#outgoing.continueMigration(state);
  }

  queryMigrate(client?: CommandClient): (MigrationInfo | IncomingInfo) & ProgressInfo {
    this.#readOutcome(client);
    const { outgoing, incoming } = this.view.progress;
    const info = this.#outgoing.query();
    if (outgoing === undefined) return { ...this.#incoming?.info(), ...arriving(incoming), ...info };
    return isUnderWay(outgoing.state) ? { ...info, "x-peregrine-progress": outgoing } : info;
  }

  setSpeed(bytesPerSecond: number): void {
    this.#outgoing.setSpeed(bytesPerSecond);
    this.#trace({ kind: "parameters", names: ["max-bandwidth"] });
  }

  setDowntime(seconds: number): void {
    this.#outgoing.setDowntime(seconds);
    this.#trace({ kind: "parameters", names: ["downtime-limit"] });
  }

  setCacheSize(bytes: number): void {
    this.#outgoing.setCacheSize(bytes, this.#machine.memoryBytes);
    this.#trace({ kind: "parameters", names: ["xbzrle-cache-size"] });
  }

  setParameters(changes: Readonly<Record<string, unknown>>): void {
    this.#outgoing.setParameters(changes);
    this.#trace({ kind: "parameters", names: Object.keys(changes) });
  }

  queryParameters(): ParameterValues {
    return this.#outgoing.queryParameters();
  }

  setCapabilities(changes: readonly CapabilityChange[]): void {
    const states = Object.fromEntries(changes.map(({ capability, state }) => [capability, state]));
    this.#outgoing.setCapabilities(states);
    this.#trace({ kind: "capabilities", changes: states });
    this.#incoming?.acknowledgeSwitchover(this.#outgoing.queryCapabilities()["switchover-ack"]);
  }

  queryCapabilities(): CapabilityState[] {
    return Object.entries(this.#outgoing.queryCapabilities()).map(([capability, state]) => ({
      capability: capability as CapabilityName,
      state,
    }));
  }

  info(client?: CommandClient): AgentReport {
    this.#readOutcome(client);
    return this.report();
  }

  observe(cells: number, client?: CommandClient): AgentObservation {
    if (client !== undefined) this.#readers.observed(client, this.#isOver);
    return { info: this.report(), ...this.view.observe(cells) };
  }

  /** The same for this process itself. */
  report(): AgentReport {
    return this.view.report({ target: this.#target, moved: this.hasMoved });
  }

  /** Calls `listener` for what no event tells. Returns how to stop that. */
  onTrace(listener: (trace: AgentTrace) => void): () => void {
    return this.#traceListeners.add(listener);
  }

  /** Who has the guest may have changed without an event. */
  ownershipChanged(): void {
    this.#trace({ kind: "ownership" });
  }

  subscribe(listener: (event: AgentEvent) => void): () => void {
    return this.#listeners.add(listener);
  }

  async #watchGuest(): Promise<void> {
    if (this.#incoming !== undefined) {
      const result = await this.#incoming.done;
      // A relayed guest may have moved on although its source could not be told.
      if (result.kind === "failed" && this.#outgoing.status !== "completed") {
        this.network.failed();
        if (!this.#exitOnError) return;
        this.#end({ kind: "load-failed", error: result.error });
        return;
      }
    }
    this.#hooks?.here(this.#incoming === undefined ? "started" : "arrived");
    // A guest that has just come has the processors first.
    setTimeout(() => this.#outgoing.prepare(), PREPARE_MS).unref();
    this.#end({ kind: "guest", exit: await this.#machine.exited });
  }

  /** What has arrived here may be its source's. Errors: UNDECIDED. */
  #requireDecided(): void {
    const how = this.#incoming?.query();
    if (how?.kind === "undecided") throw how.error;
  }

  #onMigration(event: OutgoingMigrationEvent): void {
    if (event.kind === "migration-pass") {
      this.#publish({ name: "MIGRATION_PASS", data: { pass: event.pass } });
      return;
    }
    this.#tellStatus("outgoing", event.status);
    if (this.hasMoved) this.#moved();
  }

  #tellStatus(direction: MigrationTrace["direction"], status: MigrationStatus): void {
    this.#trace({ kind: "migration", direction, status });
    this.#publish({ name: "MIGRATION", data: { status } });
  }

  #moved(): void {
    this.network.leave();
    this.#hooks?.left("moved");
    if (!this.#keep) void this.#leave();
  }

  /** The source of a relayed guest is told of it first. */
  async #leave(): Promise<void> {
    await this.#incoming?.done;
    await this.#readers.known();
    this.#end({ kind: "moved" });
  }

  /** One that has failed is over, too, although an operator may still say that the guest has moved with it. */
  get #isOver(): boolean {
    return !isUnderWay(this.#outgoing.status);
  }

  #readOutcome(client: CommandClient | undefined): void {
    if (client !== undefined) this.#readers.asked(client, this.#isOver);
  }

  #trace(trace: AgentTrace): void {
    this.#traceListeners.tell(trace);
  }

  #publish(event: AgentEvent): void {
    this.#listeners.tell(event);
  }
}

function arriving(incoming: IncomingSnapshot | undefined): ProgressInfo {
  return incoming?.state === "active" ? { "x-peregrine-progress": incoming } : {};
}
