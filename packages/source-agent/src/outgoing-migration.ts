import { ALL_EXTENSIONS, MIGRATION_ID_BYTES, MigrationError } from "@peregrine/protocol";
import type { Extensions, MigrationId } from "@peregrine/protocol";
import {
  Listeners,
  MIGRATION_TRANSITIONS,
  migrationInfo,
  MigrationState,
  MigrationStatistics,
  NO_LEDGER,
  PassLog,
  sampleOutgoing,
} from "@peregrine/shared-state";
import type {
  GiverKnowledge,
  Machine,
  MigrateRequest,
  MigrationInfo,
  MigrationStatus,
  OutgoingSample,
  OutgoingSnapshot,
  OwnershipLedger,
  PageMapAccess,
  RunControl,
} from "@peregrine/shared-state";
import { NamedDescriptors, parseUri, SecurityObjects } from "@peregrine/transport";
import type { ClientTls } from "@peregrine/transport";
import { randomBytes } from "node:crypto";
import type { Worker } from "node:worker_threads";
import { now } from "./clock.ts";
import { completeRate } from "./complete-rate.ts";
import { Departure } from "./departure.ts";
import type { DowntimeBreakdown } from "./downtime.ts";
import { Giving } from "./giving.ts";
import { MigrationAttempt } from "./migration-attempt.ts";
import type { AttemptResult } from "./migration-attempt.ts";
import { MigrationThreads } from "./migration-threads.ts";
import { requireMovableGuest } from "./movable-guest.ts";
import { DEFAULT_TIMEOUTS } from "./outgoing-options.ts";
import type {
  MigrationNotifier,
  OutgoingMigrationEvent,
  OutgoingMigrationOptions,
  Ownership,
  PassedOn,
} from "./outgoing-options.ts";
import { ProgressKeeper } from "./progress-keeper.ts";
import type { Handover, MigrationTimeouts } from "./thread-messages.ts";
import { OutgoingSettings } from "./outgoing-settings.ts";
import { requireDrives, requireFittingRequest, requireFittingTransport } from "./transport-check.ts";

/**
 * The one outgoing migration of an agent, from the agent's start to its end. Capabilities and parameters
 * belong to it and outlive each attempt.
 *
 * A migration that fails or is cancelled leaves the guest as it was: running if it ran. When the state says
 * `completed`, `failed` or `cancelled`, everything is cleaned up and the next attempt can start at once.
 */
export class OutgoingMigration extends OutgoingSettings {
  readonly #machine: Machine;
  readonly #run: RunControl;
  readonly #timeouts: MigrationTimeouts;
  readonly #state = new MigrationState();
  readonly #statistics = new MigrationStatistics();
  readonly #passes = new PassLog();
  #pageMap: PageMapAccess | undefined;
  /** Newest first. */
  readonly #blockers: string[] = [];
  readonly #notifiers = new Listeners<MigrationState>();
  readonly #listeners = new Listeners<OutgoingMigrationEvent>();
  readonly #departure: Departure;
  readonly #ledger: OwnershipLedger;
  readonly #extensions: Extensions;
  readonly #descriptors: NamedDescriptors;
  readonly #objects: SecurityObjects;
  readonly #progress = new ProgressKeeper((migration) => this.#sample(migration));
  readonly #passedOn: PassedOn | undefined;
  readonly #threads: MigrationThreads;
  #attempt: MigrationAttempt | undefined;
  #error: MigrationError | undefined;
  /** Resolved when an attempt that has paused before the switchover is to go on. */
  #continued = Promise.withResolvers<void>();
  #disposed = false;

  constructor(options: OutgoingMigrationOptions) {
    super();
    const { machine, run, timeouts, ledger, extensions = ALL_EXTENSIONS } = options;
    this.#descriptors = options.descriptors ?? new NamedDescriptors();
    this.#objects = options.objects ?? new SecurityObjects();
    this.#extensions = extensions;
    this.#passedOn = options.passedOn;
    this.#ledger = ledger ?? NO_LEDGER;
    this.#machine = machine;
    this.#run = run;
    this.#timeouts = { ...DEFAULT_TIMEOUTS, ...timeouts };
    this.#departure = new Departure(machine, run);
    this.#threads = options.threads ?? new MigrationThreads();
    void machine.exited.then((exit) => this.#attempt?.guestEnded(exit));
    this.#state.subscribe((status) => {
      this.#progress.changed(status);
      this.#listeners.tell({ kind: "migration", status });
    });
  }

  get status(): MigrationStatus {
    return this.#state.get();
  }

  protected override get migrationStatus(): MigrationStatus {
    return this.#state.get();
  }

  protected override parametersChanged(): void {
    this.#attempt?.parametersChanged();
  }

  /** Why the last attempt failed. */
  get error(): MigrationError | undefined {
    return this.#error;
  }

  /** What the downtime of a completed migration was made of. */
  get downtimeBreakdown(): DowntimeBreakdown | undefined {
    return this.#departure.downtime;
  }

  /**
   * Whether the destination has said that it has the guest. False after a migration that completed without a
   * return path, or into a file: keep what the guest was made from until somebody knows better.
   */
  get confirmed(): boolean {
    return this.#departure.confirmed;
  }

  /** The last migration made a copy, and the guest has stayed here. */
  get copied(): boolean {
    return this.#departure.isCopy;
  }

  get ownership(): Ownership {
    return this.#departure.ownership(this.#attempt?.handingOver === true);
  }

  /**
   * Starts an attempt and returns; connecting happens afterwards, and its failure shows in {@link query}.
   * Errors, with nothing changed: IN_PROGRESS, WRONG_STATE, BLOCKED, BAD_PARAMETER for drives that the guest has not.
   * Errors that leave the state `failed`: UNKNOWN_SCHEME, BAD_ADDRESS, BAD_PARAMETER for a capability or a request that
   * does not go with `uri`, CONNECT_FAILED for a descriptor of no use, BLOCKED when the host has no thread for it.
   */
  migrate(uri: string, request: MigrateRequest = {}): void {
    this.requireMigratable();
    requireDrives(request, this.#machine);
    this.#departure.begin(request.copy === true);
    this.#run.arrivesPaused = request.paused === true;
    this.#error = undefined;
    this.#statistics.reset(Math.round(now()));
    this.#passes.reset();
    this.#pageMap = undefined;
    this.#state.set(this.#state.get(), "setup");
    let target: string;
    let tls: ClientTls | undefined;
    let thread: Worker;
    try {
      const address = parseUri(uri, "outgoing");
      requireFittingTransport(this.capabilities.states, address);
      requireFittingRequest(request, address, this.#machine);
      tls = this.#objects.client(this.parameters.texts(), address);
      target = this.#descriptors.resolve(uri, "outgoing");
      thread = this.#threads.take();
    } catch (error) {
      this.#conclude({ kind: "failed", error: MigrationError.from(error) });
      throw error;
    }
    const migration = randomBytes(MIGRATION_ID_BYTES).toString("hex");
    const giving = new Giving(this.#ledger, { migration, peer: uri });
    this.#departure.give(giving);
    const attempt = new MigrationAttempt({
      thread,
      extensions: this.#asks,
      passedOn: this.#passedOn,
      giving,
      uri: target,
      tls,
      request,
      machine: this.#machine,
      run: this.#run,
      capabilities: this.capabilities.states,
      parameters: this.parameters,
      statistics: this.#statistics,
      passes: this.#passes,
      timeouts: this.#timeouts,
      connected: () => this.#connected(),
      active: () => this.#state.set("setup", "active"),
      stopped: () => this.#stopped(),
      pass: (pass) => {
        this.#progress.look();
        this.#listeners.tell({ kind: "migration-pass", pass });
      },
      pageMap: (access) => {
        this.#pageMap = access;
      },
      handedOver: (handover) => this.#handedOver(handover),
    });
    this.#attempt = attempt;
    void this.#follow(attempt);
  }

  /**
   * Starts what the next migration is sent by, so that it need not be waited for then. It takes some memory from now on,
   * and no processor time.
   */
  prepare(): void {
    if (!this.#disposed && this.#attempt === undefined) this.#threads.prepare(this.#machine.ramModule);
  }

  /** What a destination is asked for: a guest that is sent on has a hand-over only where its source has one. */
  get #asks(): Extensions {
    const { handOver, ...others } = this.#extensions;
    return { ...others, handOver: handOver && this.#passedOn?.asked !== false };
  }

  /** Whether {@link migrate} would start an attempt. Errors: IN_PROGRESS, WRONG_STATE, BLOCKED. */
  requireMigratable(): void {
    if (this.#state.isRunning()) {
      throw new MigrationError("IN_PROGRESS", "There's a migration process in progress");
    }
    if (this.#disposed) throw new MigrationError("WRONG_STATE", "This agent is about to end");
    requireMovableGuest(this.#run, this.#machine, this.#passedOn !== undefined);
    const reason = this.#machine.devices.unmigratable ?? this.#blockers[0];
    if (reason !== undefined) throw new MigrationError("BLOCKED", reason);
  }

  /**
   * Gives up the attempt that is under way; does nothing when there is none. Returns at once: the state is
   * `cancelled` when everything is cleaned up.
   *
   * Once the stream is complete the destination may have the guest already. A cancel then asks for it back:
   * the attempt is cancelled if the destination had not accepted it, and completed if it had.
   */
  cancel(): void {
    const attempt = this.#attempt;
    if (attempt === undefined || !attempt.cancel()) return;
    this.#state.end("cancelling");
  }

  /** Whether the guest stands still until {@link resolve} is called. */
  get undecided(): boolean {
    return this.#departure.undecided;
  }

  /** What is known of the present or last attempt, by the name that both ends have for it. */
  get handOver(): { readonly migration: MigrationId; readonly knows: GiverKnowledge } | undefined {
    return this.#departure.handOver;
  }

  /**
   * An operator has found out who has the guest. As `owner` it goes on here.
   * Errors: WRONG_STATE when nothing is undecided; those of continuing the guest.
   */
  resolve(as: "owner" | "gone"): Promise<void> {
    return this.#departure.resolve(as);
  }

  /** Stops the guest for what is left, however much it is. Does nothing when no migration is under way. */
  switchOverNow(): void {
    this.#attempt?.switchOverNow();
  }

  /**
   * Switches auto-converge on for the attempt that is under way: the guest is throttled as soon as the dirty rate is
   * computed again. Does nothing when no migration is under way.
   */
  convergeNow(): void {
    this.#attempt?.convergeNow();
  }

  /**
   * Lets an attempt go on that has paused in `pre-switchover`. Does nothing in another state, if that is the one.
   * @param state that the client believes the migration to be in.
   * Errors: BAD_PARAMETER when there is no such state, WRONG_STATE when it is in another one.
   */
  continueMigration(state: string): void {
    if (!Object.hasOwn(MIGRATION_TRANSITIONS, state)) {
      throw new MigrationError("BAD_PARAMETER", `Parameter 'state' does not accept value '${state}'`);
    }
    const status = this.#state.get();
    if (status !== state) {
      throw new MigrationError("WRONG_STATE", `Migration not in expected state: ${status}`);
    }
    if (status === "pre-switchover" && this.#state.set(status, "device")) this.#continued.resolve();
  }

  query(): MigrationInfo {
    return migrationInfo({
      status: this.#state.get(),
      statistics: this.#statistics,
      now: Math.round(now()),
      error: this.#error?.message,
      xbzrleCacheSize: this.capabilities.isOn("xbzrle") ? this.parameters.xbzrleCacheSize : undefined,
      blockedReasons: [...this.#blockers, ...this.#machine.devices.blockedReasons],
    });
  }

  /** How far the present or last attempt is, and whether it is going to end; undefined before the first. */
  get progress(): OutgoingSnapshot | undefined {
    return this.#progress.look();
  }

  /** The counters of the present or last attempt. */
  get statistics(): MigrationStatistics {
    return this.#statistics;
  }

  /** The passes of the present or last attempt. */
  get passes(): PassLog {
    return this.#passes;
  }

  /** What has become of each page in the present or last attempt, from when it is connected on. */
  get pageMap(): PageMapAccess | undefined {
    return this.#pageMap;
  }

  /** Refuses every migration with these words until the reason is removed. */
  addBlocker(reason: string): void {
    this.#blockers.unshift(reason);
  }

  removeBlocker(reason: string): void {
    const index = this.#blockers.indexOf(reason);
    if (index >= 0) this.#blockers.splice(index, 1);
  }

  /** @returns a function that removes the notifier. */
  addNotifier(notifier: MigrationNotifier): () => void {
    return this.#notifiers.add(notifier);
  }

  /** @returns a function that ends the subscription. */
  subscribe(listener: (event: OutgoingMigrationEvent) => void): () => void {
    return this.#listeners.add(listener);
  }

  /** Cancels what is under way and resolves when nothing of it is left. No migration can start afterwards. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const attempt = this.#attempt;
    this.cancel();
    await this.#threads.dispose();
    await attempt?.result;
  }

  async #follow(attempt: MigrationAttempt): Promise<void> {
    const result = await attempt.result;
    this.#attempt = undefined;
    this.#conclude(result);
  }

  #sample(migration: number): OutgoingSample | undefined {
    const state = this.#state.get();
    if (state === "none") return undefined;
    const isCarried = this.#machine.carried !== undefined;
    return sampleOutgoing({
      migration,
      state,
      statistics: this.#statistics,
      parameters: this.parameters,
      capabilities: this.capabilities.states,
      guestRuns: !isCarried && this.#run.state === "running",
      canThrottle: !isCarried && this.#machine.setThrottle !== undefined,
      arriving: this.#run.state === "inmigrate",
      now: now(),
    });
  }

  #connected(): void {
    this.#statistics.expectedDowntime = Math.round(this.parameters.downtimeLimit);
    this.#notifiers.tell(this.#state);
  }

  /** The guest stands still. @returns what the rest waits for. */
  #stopped(): Promise<void> | undefined {
    this.#continued = Promise.withResolvers();
    const pauses = this.capabilities.isOn("pause-before-switchover");
    return pauses && this.#state.set("active", "pre-switchover") ? this.#continued.promise : undefined;
  }

  #handedOver(handover: Handover): void {
    this.#statistics.downtime = Math.round(handover.downtime.total);
    this.#statistics.totalTime = Math.round(now()) - this.#statistics.startTime;
    completeRate(this.#statistics);
    this.#departure.handedOver(handover);
  }

  /** The end of an attempt that left nothing behind. */
  #conclude(result: AttemptResult): void {
    switch (result.kind) {
      case "completed":
        this.#state.end("completed");
        break;
      case "cancelled":
        this.#state.end("cancelling");
        this.#state.end("cancelled");
        break;
      case "failed":
      case "undecided":
        this.#error = result.error;
        this.#state.end("failed");
        break;
    }
    // The migration has ended whatever one of them does; the others still have to hear of it.
    this.#notifiers.tellEach(this.#state, (error) => process.emitWarning(MigrationError.from(error)));
  }
}
