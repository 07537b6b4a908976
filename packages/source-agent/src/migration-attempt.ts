import { MigrationError } from "@peregrine/protocol";
import type { Extensions, MigrationId } from "@peregrine/protocol";
import type {
  CapabilityStates,
  GuestExit,
  Machine,
  MigrateRequest,
  MigrationParameters,
  MigrationStatistics,
  PageMapAccess,
  PassLog,
  RunControl,
} from "@peregrine/shared-state";
import type { ClientTls } from "@peregrine/transport";
import type { Worker } from "node:worker_threads";
import { cancelled, describe, guestEnded, undecided, withNotes } from "./attempt-errors.ts";
import { now } from "./clock.ts";
import type { Giving } from "./giving.ts";
import { HandoverGate } from "./handover-gate.ts";
import type { PassedOn } from "./outgoing-options.ts";
import { reclaimDrives } from "./reclaim-drives.ts";
import { StreamFrame } from "./stream-frame.ts";
import type {
  Handover,
  MessageToMain,
  MessageToThread,
  MigrationTimeouts,
  SentDrives,
  ThreadOutcome,
} from "./thread-messages.ts";

/** How long a thread that was told to give up may take for it, milliseconds. */
const GIVE_UP_MS = 1000;

export interface AttemptOptions {
  /** A migration thread that waits for what to do. */
  readonly thread: Worker;
  readonly uri: string;
  readonly tls: ClientTls | undefined;
  readonly request: MigrateRequest;
  readonly machine: Machine;
  readonly run: RunControl;
  readonly capabilities: CapabilityStates;
  readonly parameters: MigrationParameters;
  readonly statistics: MigrationStatistics;
  readonly passes: PassLog;
  readonly timeouts: MigrationTimeouts;
  readonly extensions: Extensions;
  readonly giving: Giving;
  readonly passedOn: PassedOn | undefined;
  /** The channel is there and nothing was sent. What it throws fails the attempt. */
  readonly connected: () => void;
  /** The setup stage is sent. */
  readonly active: () => void;
  /** The guest stands still. @returns what the rest is to wait for, if it is to wait. */
  readonly stopped: () => Promise<void> | undefined;
  readonly pass: (pass: number) => void;
  /** What becomes of the pages can be looked at. */
  readonly pageMap: (access: PageMapAccess) => void;
  /** Everything is sent, and the destination has the guest if it was to say so. */
  readonly handedOver: (handover: Handover) => void;
}

export type AttemptResult =
  | { readonly kind: "completed" | "cancelled" }
  /** The guest stands still here, and an operator has to say who has it. */
  | { readonly kind: "undecided"; readonly error: MigrationError }
  | { readonly kind: "failed"; readonly error: MigrationError };

/**
 * One attempt, as the main thread sees it: the migration thread, what the thread asks for, and the clean-up
 * when it has ended in whatever way.
 */
export class MigrationAttempt {
  /** Resolves when nothing of the attempt is left and the guest is where it belongs. Never rejects. */
  readonly result: Promise<AttemptResult>;
  readonly #options: AttemptOptions;
  readonly #frame: StreamFrame;
  readonly #gate = new HandoverGate();
  readonly #worker: Worker;
  /** Settled when the channel is closed. */
  readonly #threadEnded = Promise.withResolvers<ThreadOutcome>();
  readonly #threadExited = Promise.withResolvers<void>();
  /** The last thing the thread asked for, until it is done. Never rejects. */
  #asked: Promise<void> = Promise.resolve();
  readonly #calledOff = Promise.withResolvers<"keep">();
  #dirtyLogTouched = false;
  #drivesReleased = false;
  #intoFile = false;
  #givenUp: MigrationError | undefined;
  #cancelled = false;
  #over = false;

  constructor(options: AttemptOptions) {
    this.#options = options;
    this.#frame = new StreamFrame(options.machine);
    this.#worker = options.thread;
    this.#worker.on("message", (message: MessageToMain) => this.#onMessage(message));
    this.#worker.on("error", (error) =>
      this.#threadFailed(`The migration thread failed: ${describe(error)}`),
    );
    this.#worker.on("exit", (code) => {
      this.#threadFailed(`The migration thread ended unexpectedly with exit code ${code}`);
      this.#threadExited.resolve();
    });
    this.#post({
      kind: "run",
      data: {
        uri: options.uri,
        tls: options.tls,
        capabilities: options.capabilities,
        parameters: options.parameters.buffer,
        statistics: options.statistics.buffer,
        passes: options.passes.buffer,
        gate: this.#gate.buffer,
        timeouts: options.timeouts,
        extensions: options.extensions,
      },
    });
    this.result = this.#run();
  }

  /** Everything is sent, and the destination has not answered. */
  get handingOver(): boolean {
    return !this.#over && this.#gate.passed;
  }

  /**
   * Gives the attempt up. Does nothing when it is ending already.
   * @returns false when the attempt may still complete: the destination may have the guest already.
   */
  cancel(): boolean {
    if (this.#over || this.#givenUp !== undefined || this.#cancelled) return false;
    if (!this.#gate.close()) {
      this.#cancelled = true;
      this.#calledOff.resolve("keep");
      void this.#options.giving.hear("called-off");
      this.#post({ kind: "revoke" });
      return false;
    }
    this.#cancelled = true;
    this.#giveUp(cancelled());
    return true;
  }

  /** The guest program has ended: there is nothing to send. */
  guestEnded(exit: GuestExit): void {
    if (this.#over || this.handingOver) return;
    this.#giveUp(guestEnded(exit));
  }

  /** Has the thread stop the guest for what is left, however much it is. */
  switchOverNow(): void {
    this.#post({ kind: "switch-over" });
  }

  /** Has the thread throttle the guest. */
  convergeNow(): void {
    this.#post({ kind: "converge" });
  }

  /** Has the thread look at the parameters again. */
  parametersChanged(): void {
    this.#post({ kind: "parameters-changed" });
  }

  async #run(): Promise<AttemptResult> {
    const outcome = await this.#threadEnded.promise;
    this.#over = true;
    this.#throttle(0);
    // First: what is still being recorded is not told to anybody any more.
    await this.#settle(outcome);
    // A step that is under way must not touch the guest after the clean-up.
    await this.#asked;
    if (outcome.kind === "handed-over") this.#options.handedOver(outcome.handover);
    const notes = await this.#cleanUp();
    await this.#threadGone();
    if (this.#options.giving.inDoubt && outcome.kind === "failed") {
      return { kind: "undecided", error: undecided(MigrationError.deserialize(outcome.error)) };
    }
    if (outcome.kind === "handed-over" || this.#cancelled) {
      // These have no error that could say it.
      for (const note of notes) process.emitWarning(note);
      return { kind: outcome.kind === "handed-over" ? "completed" : "cancelled" };
    }
    const error = this.#givenUp ?? MigrationError.deserialize(outcome.error);
    return { kind: "failed", error: withNotes(error, notes) };
  }

  /** Tells the giver how the exchange has ended. */
  async #settle(outcome: ThreadOutcome): Promise<void> {
    const { giving } = this.#options;
    // A file that was not finished is removed.
    const refused = outcome.kind === "failed" && (outcome.lacksGuest || this.#intoFile);
    if (outcome.kind === "failed") await giving.hear(refused ? "refused" : "link-lost");
    else if (giving.given) await giving.hear("taken");
    else if (outcome.handover.confirmed) await giving.takenUnasked();
  }

  #onMessage(message: MessageToMain): void {
    switch (message.kind) {
      case "connected":
        this.#answer(() => this.#begin());
        return;
      case "agreed":
        this.#options.passedOn?.agreed(message.handOver);
        return;
      case "active":
        this.#options.active();
        return;
      case "page-map":
        this.#options.pageMap(message.access);
        return;
      case "pass":
        this.#options.pass(message.pass);
        return;
      case "throttle":
        if (!this.#over) this.#throttle(message.percentage);
        return;
      case "stop-guest":
        this.#answer(() => this.#stopGuest());
        return;
      case "release-drives":
        this.#answer(() => this.#releaseDrives());
        return;
      case "loaded":
        this.#answer(() => this.#decide(message.into));
        return;
      case "ended":
        this.#threadEnded.resolve(message.outcome);
        return;
    }
  }

  #answer(step: () => Promise<void>): void {
    if (this.#givenUp !== undefined) return;
    this.#asked = step().catch((error: unknown) => {
      this.#giveUp(MigrationError.from(error));
    });
  }

  async #begin(): Promise<void> {
    const { machine, request, connected, giving } = this.#options;
    connected();
    await giving.requireRecords();
    // Another migration may have failed to get them back.
    await machine.drives?.reclaim();
    this.#dirtyLogTouched = true;
    await machine.startDirtyLog();
    const drives = this.#sentDrives();
    const opening = await this.#frame.opening();
    this.#post(
      {
        kind: "begin",
        ram: machine.ram(),
        opening,
        drives,
        releasesDrives: machine.drives !== undefined && request.copy !== true,
        arrived: machine.carried?.arrived,
      },
      this.#frame.transferable(opening.early),
    );
    await this.#frame.rehearseClosing();
  }

  #sentDrives(): SentDrives | undefined {
    const { machine, request } = this.#options;
    if (machine.drives === undefined || request.storage === undefined) return undefined;
    return { access: machine.drives.outgoing(), incremental: request.storage === "inc" };
  }

  async #stopGuest(): Promise<void> {
    const { run } = this.#options;
    // A guest that is sent on while it arrives never ran here.
    if (run.state !== "inmigrate") await run.stop("finish-migrate");
    const pauseTime = await this.#pause();
    if (pauseTime === undefined) return;
    // The devices are saved while the last pages are being sent.
    this.#post({ kind: "guest-stopped", pauseTime, migration: await this.#offeredAs() });
    const closing = await this.#frame.closing();
    this.#post({ kind: "devices-saved", closing }, this.#frame.transferable(closing.late));
  }

  /** A guest that is sent on has the name that its source has for it, or none. */
  async #offeredAs(): Promise<MigrationId | undefined> {
    const { passedOn, giving } = this.#options;
    if (passedOn === undefined) return giving.migration.migration;
    const ended = this.#threadEnded.promise.then(() => undefined);
    return Promise.race([passedOn.offered(), ended]);
  }

  async #releaseDrives(): Promise<void> {
    this.#drivesReleased = true;
    await this.#options.machine.drives?.release();
    this.#post({ kind: "drives-released" });
  }

  /** Whether the guest is given away is decided here, and on the disk before the destination hears of it. */
  async #decide(into: "destination" | "file"): Promise<void> {
    const { giving, passedOn, request } = this.#options;
    this.#intoFile = into === "file";
    if (this.#intoFile && request.copy === true) {
      this.#post({ kind: "decided", refusal: undefined });
      return;
    }
    const isOwn = this.#intoFile || passedOn === undefined;
    const decision = isOwn ? "give" : await this.#decisionOf(passedOn);
    if (decision === "lost") throw new MigrationError("UNDECIDED", "The source's decision will not be heard");
    await giving.hear(decision === "give" ? "loaded" : "called-off");
    const refusal = giving.given ? undefined : (giving.failure ?? cancelled()).serialize();
    this.#post({ kind: "decided", refusal });
  }

  async #decisionOf(passedOn: PassedOn): Promise<"give" | "keep" | "lost"> {
    const ended = this.#threadEnded.promise.then(() => "keep" as const);
    return Promise.race([passedOn.loaded(), this.#calledOff.promise, ended]);
  }

  /** @returns how long the rest had to wait, milliseconds; undefined when the attempt has ended meanwhile. */
  async #pause(): Promise<number | undefined> {
    const continued = this.#options.stopped();
    if (continued === undefined) return 0;
    const start = now();
    const ended = this.#threadEnded.promise.then(() => "ended" as const);
    return (await Promise.race([continued, ended])) === "ended" ? undefined : now() - start;
  }

  #throttle(percentage: number): void {
    const { machine, statistics } = this.#options;
    if (machine.setThrottle === undefined) return;
    machine.setThrottle(percentage);
    statistics.throttlePercentage = percentage;
  }

  #threadFailed(message: string): void {
    const error = new MigrationError("INTERNAL", message).serialize();
    this.#threadEnded.resolve({ kind: "failed", error, lacksGuest: false });
  }

  /** Has the thread close the channel and end; takes the thread down when it does not. */
  #giveUp(reason: MigrationError): void {
    if (this.#givenUp !== undefined) return;
    const { exit } = this.#options.run;
    const error = exit === undefined ? reason : guestEnded(exit);
    this.#givenUp = error;
    this.#post({ kind: "abort", error: error.serialize() });
    this.#terminateUnless(this.#threadEnded.promise);
  }

  /** A thread that has closed its channel ends by itself. */
  async #threadGone(): Promise<void> {
    this.#terminateUnless(this.#threadExited.promise);
    await this.#threadExited.promise;
  }

  /** Ends the thread by force when something does not happen in time. */
  #terminateUnless(happened: Promise<unknown>): void {
    const timer = setTimeout(() => void this.#worker.terminate(), GIVE_UP_MS);
    void happened.then(() => clearTimeout(timer));
  }

  /** Puts the guest back and switches the dirty log off. @returns what could not be done, in words. */
  async #cleanUp(): Promise<string[]> {
    const { machine, run, timeouts, giving } = this.#options;
    const notes: string[] = [];
    const attempt = async (what: string, step: () => Promise<void>): Promise<void> => {
      try {
        await step();
      } catch (error) {
        if (run.exit === undefined) notes.push(`${what}: ${MigrationError.from(error).message}`);
      }
    };
    if (giving.isUnrecorded) {
      notes.push(
        "the guest has stayed here, and that could not be recorded, so do not trust the record of it",
      );
    }
    if (giving.inDoubt) {
      // It goes on only when an operator says so; until then nothing here touches it.
      run.undecided = true;
    } else if (machine.drives !== undefined && this.#drivesReleased && run.state === "finish-migrate") {
      // The guest does not go on without them, and that says why.
      await reclaimDrives(machine.drives, timeouts.reclaim).catch(() => {});
    }
    // After a completed migration the run state is no longer `finish-migrate`, and this does nothing.
    if (!giving.inDoubt) await attempt("the guest could not be continued here", () => run.restore());
    if (this.#dirtyLogTouched) {
      await attempt("the dirty log could not be switched off", () => machine.stopDirtyLog());
    }
    return notes;
  }

  #post(message: MessageToThread, transfer: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
