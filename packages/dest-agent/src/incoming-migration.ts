import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import type {
  IncomingInfo,
  IncomingSnapshot,
  Machine,
  MigrationStatus,
  TakerKnowledge,
} from "@peregrine/shared-state";
import type { Address } from "@peregrine/transport";
import type { Worker } from "node:worker_threads";
import { awaited } from "./awaited-machine.ts";
import { DecidedGuest } from "./decided-guest.ts";
import type { IncomingTask, MainMessage, ThreadMessage } from "./incoming-messages.ts";
import { INCOMING_DEFAULTS } from "./incoming-options.ts";
import type { IncomingMigrationOptions } from "./incoming-options.ts";
import type { IncomingPhase } from "./incoming-phase.ts";
import type { IncomingResult, IncomingStatus } from "./incoming-result.ts";
import { IncomingStatistics } from "./incoming-statistics.ts";
import { recordGone, recordOwner, requireUndecided } from "./operators-word.ts";
import { PhaseKeeper } from "./phase-keeper.ts";
import { requireChannels } from "./listen-options.ts";
import type { ListenOptions } from "./listen-options.ts";
import { LoadedMachine } from "./loaded-machine.ts";
import { startArrived } from "./start-arrived.ts";
import { startIncomingThread } from "./start-incoming-thread.ts";
import { undecided } from "./taking.ts";
import { ThreadAnswers } from "./thread-answers.ts";

/**
 * One incoming migration: listens, takes one connection, loads what it sends into the machine and starts
 * the guest. Nothing of a load that fails can be seen: the guest never starts.
 */
export class IncomingMigration {
  /** Resolves, never rejects, when the migration has ended; the guest runs then, or the machine is gone. */
  readonly done: Promise<IncomingResult>;
  readonly #options: IncomingMigrationOptions & typeof INCOMING_DEFAULTS;
  readonly #machine: Machine;
  readonly #loaded: LoadedMachine;
  readonly #decided: DecidedGuest;
  readonly #statistics = new IncomingStatistics();
  readonly #phases = new PhaseKeeper(this.#statistics, () => this.#channels > 0);
  /** Multifd channels that the source opens. */
  #channels = 0;
  readonly #switchoverAck = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
  readonly #end = Promise.withResolvers<IncomingResult>();
  /** Of the last attempt. */
  #listening: PromiseWithResolvers<Address> | undefined;
  #worker: Worker | undefined;
  /** Resolves when the thread has told the source that the guest is here, or cannot. */
  readonly #told = Promise.withResolvers<void>();
  /** The thread has found out that nobody will say who has the guest, and ends. */
  #isInDoubt = false;
  readonly #answers: ThreadAnswers;

  /** Errors: WRONG_STATE unless the run state is `inmigrate`. */
  constructor(options: IncomingMigrationOptions) {
    const { machine, runControl, autostart } = options;
    if (runControl.state !== "inmigrate") {
      throw new MigrationError("WRONG_STATE", `No guest can arrive in run state '${runControl.state}'`);
    }
    if (autostart !== undefined) runControl.autostart = autostart;
    this.done = this.#end.promise;
    this.#options = { ...INCOMING_DEFAULTS, ...options };
    this.#machine = machine;
    this.#loaded = new LoadedMachine(machine, options.accept);
    this.#decided = new DecidedGuest({
      loaded: this.#loaded,
      ledger: this.#options.ledger,
      passesOn: options.passesOn,
      peer: () => this.#phases.peer,
    });
    this.#answers = new ThreadAnswers({
      machine,
      opened: options.opened,
      isWanted: () => this.#phase.kind === "active",
      post: (answer) => this.#post(answer),
      failed: (error) => this.#abort(error),
    });
    void this.#watchGuest();
  }

  /**
   * Starts to listen. Resolves with the real address: the port that was taken for port 0. When that fails nothing
   * has changed, and another address can be tried.
   * Errors: UNKNOWN_SCHEME, BAD_ADDRESS, LISTEN_FAILED; BAD_PARAMETER for the number of channels; IN_PROGRESS when
   * it was begun before; CANCELLED when it was closed meanwhile.
   */
  async listen({ uri, multifdChannels = 0, descriptors, tls }: ListenOptions): Promise<Address> {
    if (this.#phase.kind !== "setup") {
      throw new MigrationError("IN_PROGRESS", "The incoming migration has already been started");
    }
    requireChannels(multifdChannels);
    this.#channels = multifdChannels;
    const source = descriptors?.resolve(uri, "incoming") ?? uri;
    const { channelOptions, limits, extensions, silence } = this.#options;
    this.#startThread({
      uri: source,
      channelOptions: { keepalive: silence, ...channelOptions },
      tls,
      machine: awaited(this.#machine),
      multifdChannels,
      switchoverAck: this.#switchoverAck.buffer,
      limits,
      extensions,
      agreesLater: this.#options.passesOn !== undefined,
      silence,
      statistics: this.#statistics.buffer,
    });
    // Nothing is heard of the thread before this has returned.
    this.#phase = { kind: "opening" };
    const listening = Promise.withResolvers<Address>();
    this.#listening = listening;
    return listening.promise;
  }

  /**
   * Whether the source is told that it can switch over, also if it does not say that it waits for that: a QEMU
   * does not, and one before 8.1 breaks off when it is told. Takes effect when the list of RAM blocks is read.
   */
  acknowledgeSwitchover(on: boolean): void {
    Atomics.store(this.#switchoverAck, 0, Number(on));
  }

  /** Of a guest that is sent on: whether its source has a hand-over, if it asks for one. Once. */
  agree(handOver: boolean): void {
    this.#post({ kind: "agree", handOver });
  }

  query(): IncomingStatus {
    return this.#phases.status;
  }

  /** How much has come. */
  get progress(): IncomingSnapshot {
    return this.#phases.progress;
  }

  /** What is known of the guest that came; undefined before everything of it is here, and where nobody decides. */
  get handOver(): { readonly migration: MigrationId; readonly knows: TakerKnowledge } | undefined {
    return this.#decided.handOver;
  }

  /** The same as the monitor's clients know it. */
  info(): IncomingInfo {
    return this.#phases.info;
  }

  /** Calls `listener` with each new status, as {@link info} has it. */
  subscribe(listener: (status: MigrationStatus) => void): void {
    this.#phases.subscribe(listener);
  }

  /**
   * Gives up, whether it waits for a connection or loads, and resolves when the migration has ended. Too
   * late once it is being recorded that the guest is here, or the source is being told: it is started then all the same,
   * unless that fails.
   *
   * @param reason what the load fails with. Default: CANCELLED.
   */
  async close(reason?: MigrationError): Promise<void> {
    this.#abort(reason ?? new MigrationError("CANCELLED", "The incoming migration was closed"));
    await this.done;
  }

  get #phase(): IncomingPhase {
    return this.#phases.current;
  }

  set #phase(phase: IncomingPhase) {
    this.#phases.current = phase;
  }

  #startThread(task: IncomingTask): void {
    const worker = startIncomingThread(task, {
      message: (message) => {
        if (this.#worker === worker) this.#receive(message);
      },
      ended: (error) => {
        if (this.#worker !== worker) return;
        // What the source decides from now on is not heard.
        void this.#decided.taking?.hear("link-lost");
        this.#threadEnds(error);
      },
    });
    this.#worker = worker;
  }

  async #watchGuest(): Promise<void> {
    const exit = await this.#machine.exited;
    const how = exit.kind === "exit" ? `with status ${exit.status}` : `by a trap: ${exit.message}`;
    this.#abort(new MigrationError("LOAD_FAILED", `The guest ended while it was being received, ${how}`));
  }

  #receive(message: ThreadMessage): void {
    switch (message.kind) {
      case "listening":
        this.#phases.address = message.address;
        if (this.#phase.kind !== "opening") return;
        this.#phase = message;
        this.#listening?.resolve(message.address);
        return;
      case "refused":
        this.#options.refused?.(MigrationError.deserialize(message.error));
        return;
      case "connected":
        if (this.#phase.kind === "listening") this.#phase = { kind: "active", peer: message.peer };
        return;
      case "load-devices":
      case "open-ram":
      case "open-drives":
      case "opened":
      case "closed":
        this.#answers.byMachine(message);
        return;
      case "drives-progress":
        this.#options.drivesProgress?.(message.percent);
        return;
      case "accept":
        this.#answers.inTurn(async () => {
          await this.#decided.accept(message.migration);
          return { kind: "done" };
        });
        return;
      case "commit":
        this.#answers.inTurn(async () => {
          await this.#decided.require(message.returnPath);
          return this.#commit();
        });
        void this.#answers.afterwards(() => this.#takeOver());
        return;
      case "undecided":
        this.#beginDoubt(MigrationError.deserialize(message.error));
        return;
      case "loaded":
        this.#told.resolve();
        void this.#succeed();
        return;
      case "failed":
        this.#threadEnds(MigrationError.deserialize(message.error));
        return;
    }
  }

  /** Whether the thread has nothing more to do with what becomes of the guest. */
  get #threadMayEnd(): boolean {
    return this.#phase.kind === "arriving" || this.#isInDoubt || this.#decided.owns;
  }

  /** The thread does no more for the load. What follows is decided behind what is being recorded. */
  #threadEnds(error: MigrationError): void {
    if (this.#phase.kind === "committed") void this.#answers.afterwards(() => this.#threadEnded(error));
    else this.#threadEnded(error);
  }

  #threadEnded(error: MigrationError): void {
    // Once the guest is this side's, the thread only sees to the end of the channel.
    if (this.#threadMayEnd) this.#told.resolve();
    else if (this.#phase.kind === "active" && this.#decided.inDoubt) this.#beginDoubt(error);
    else void this.#fail(error);
  }

  /** The last moment to call the load off has passed, unless it was. Errors: the source takes the guest back. */
  async #commit(): Promise<MainMessage | undefined> {
    if (this.#phase.kind !== "active") return undefined;
    const { peer } = this.#phase;
    this.#phase = { kind: "committed", peer };
    try {
      return await this.#decided.commit();
    } catch (error) {
      this.#phase = { kind: "active", peer };
      // The thread has died, so the source is not told, and the only copy may be here.
      if (this.#decided.inDoubt) return undefined;
      throw error;
    }
  }

  /** Nobody will say who has the guest, unless that was said and is being recorded. */
  #beginDoubt(reason: MigrationError): void {
    this.#isInDoubt = true;
    this.#told.resolve();
    void this.#answers.afterwards(() => this.#doubt(reason));
  }

  /** Whoever has the guest is to be able to use its drives. */
  async #doubt(reason: MigrationError): Promise<void> {
    const { passesOn, taking } = this.#decided;
    if (this.#phase.kind === "active" && passesOn === undefined) await taking?.hear("link-lost");
    const phase = this.#phase;
    if (phase.kind === "stopping") {
      await this.#fail(phase.error);
      return;
    }
    if (passesOn !== undefined) {
      await this.#fail(passesOn.lost(reason));
      return;
    }
    if (phase.kind !== "active") return;
    const error = undecided(reason);
    this.#phase = { kind: "undecided", peer: phase.peer, error };
    await this.#loaded.unlock();
    this.#options.undecided?.(error);
  }

  /**
   * An operator has found out who has the guest. As `owner` it is started here, as it would have been.
   * Errors: WRONG_STATE when nothing is undecided; STORE_FAILED when that cannot be recorded, and those of the drives: it
   * stands still as before then; those of starting it.
   */
  async resolve(as: "owner" | "gone"): Promise<void> {
    requireUndecided(this.#phases);
    await this.#answers.afterwards(async () => {
      const guest = { phases: this.#phases, decided: this.#decided, loaded: this.#loaded };
      if (as === "gone") {
        await recordGone(guest);
        await this.#fail(
          new MigrationError("CANCELLED", "An operator has decided that the guest is elsewhere"),
        );
        return;
      }
      await recordOwner(guest);
      await this.#succeed();
      const result = await this.done;
      if (result.kind === "failed") throw result.error;
    });
  }

  #post(message: MainMessage): void {
    this.#worker?.postMessage(message);
  }

  /** Calls the load off. The thread answers with `failed` when it has told the source and closed the channel. */
  #abort(error: MigrationError): void {
    switch (this.#phase.kind) {
      case "setup":
      case "opening":
      case "listening":
      case "active":
        this.#phase = { kind: "stopping", error };
        if (this.#worker === undefined) void this.#fail(error);
        else this.#post({ kind: "abort", error: error.serialize() });
        return;
      case "committed":
        // What is being recorded comes first. It may come to nothing.
        void this.#answers.afterwards(() => {
          if (this.#phase.kind !== "committed") this.#abort(error);
        });
        return;
      case "undecided":
        void this.#fail(error);
        return;
      default:
        return;
    }
  }

  /** What is this side's, and recorded as such, does not stand still for as long as it takes to tell the source. */
  #takeOver(): void {
    if (this.#decided.owns) void this.#succeed();
  }

  async #succeed(): Promise<void> {
    if (this.#phase.kind !== "committed") return;
    this.#phase = { kind: "arriving", peer: this.#phase.peer };
    const guest = await startArrived({
      runControl: this.#options.runControl,
      announce: this.#options.announce,
      closeChannel: () => this.#post({ kind: "close-channel" }),
    });
    if (guest.kind === "here") this.#statistics.started();
    // A guest that ends at once would end the process before the source has heard of it.
    await this.#told.promise;
    if (guest.kind === "lost") {
      await this.#fail(guest.error);
      return;
    }
    this.#statistics.ended();
    // The source may take a while to close its end. That keeps neither the caller nor the process waiting.
    this.#worker?.unref();
    this.#conclude({ ...guest, kind: "loaded", progress: this.#statistics.progress() });
  }

  async #fail(consequence: MigrationError): Promise<void> {
    const phase = this.#phase;
    if (phase.kind === "failing" || phase.kind === "ended") return;
    if (phase.kind === "opening") {
      this.#worker = undefined;
      this.#phase = { kind: "setup" };
      this.#listening?.reject(consequence);
      return;
    }
    const error = phase.kind === "stopping" ? phase.error : consequence;
    this.#phase = { kind: "failing", error };
    // Who asks what is known here is not told of a guest that is not held any more.
    void this.#decided.taking?.hear("called-off");
    this.#statistics.ended();
    await this.#worker?.terminate();
    await this.#loaded.discard();
    this.#conclude({ kind: "failed", error, progress: this.#statistics.progress() });
  }

  #conclude(result: IncomingResult): void {
    this.#phase = { kind: "ended", result };
    if (result.kind === "failed") this.#listening?.reject(result.error);
    this.#end.resolve(result);
  }
}
