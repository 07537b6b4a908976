import { MigrationError } from "@peregrine/protocol";
import type { GuestExit, Machine } from "./machine.ts";
import { isMigratable, RUN_STATE_TRANSITIONS } from "./run-state.ts";
import type { MigratableRunState, RunState } from "./run-state.ts";
import { Listeners } from "./listeners.ts";

/** Why the guest program ended: by itself, or by a trap. */
export type GuestShutdownReason = "guest-shutdown" | "guest-panic";

/** With the names that the monitor's events have. */
export type RunEvent =
  | { readonly name: "STOP" }
  | { readonly name: "RESUME" }
  | {
      readonly name: "SHUTDOWN";
      readonly data: { readonly guest: true; readonly reason: GuestShutdownReason };
    };

/** Is told of each change of the run state. */
export type RunEventListener = (event: RunEvent) => void;

/** How the run state begins. */
export interface RunControlOptions {
  /** `prelaunch` by default; `inmigrate` where a guest is to arrive. */
  readonly initial?: "prelaunch" | "inmigrate";
  /** Whether a guest that arrives running is started. Default: true. */
  readonly autostart?: boolean;
}

/**
 * Joins a machine with its run state: the machine runs exactly while the state is `running`. Calls that
 * overlap are carried out one after the other.
 *
 * A call that the machine rejects leaves the run state as it was.
 */
export class RunControl {
  /** Whether a guest that arrives running is started. `cont` and `stop` during `inmigrate` change it. */
  autostart: boolean;
  /** The destination runs the guest now: it must not be continued here. */
  handedOver = false;
  /** Nobody knows here whether the destination has the guest: an operator has to say so before it is continued. */
  undecided = false;
  /** The run state that the guest had at the source, once its `globalstate` section is loaded. */
  received: MigratableRunState | undefined;
  /** The guest that is being sent is paused at the destination, whatever it does here. */
  arrivesPaused = false;
  /** How the guest program ended. */
  exit: GuestExit | undefined;
  readonly #machine: Machine;
  readonly #listeners = new Listeners<RunEvent>();
  #state: RunState;
  #beforeFinish: MigratableRunState | undefined;
  /** The drives of a guest that is to arrive were not taken over yet. */
  #drivesAwaited: boolean;
  #queue: Promise<unknown> = Promise.resolve();

  constructor(machine: Machine, options: RunControlOptions = {}) {
    this.#machine = machine;
    this.#state = options.initial ?? "prelaunch";
    this.#drivesAwaited = this.#state === "inmigrate";
    this.autostart = options.autostart ?? true;
    void this.#followExit();
  }

  get state(): RunState {
    return this.#state;
  }

  /** Errors: UNDECIDED while nobody knows here who has the guest. */
  requireDecided(): void {
    if (!this.undecided) return;
    const text =
      "Nobody knows here who has the guest: look at the other side, and then use peregrine resolve";
    throw new MigrationError("UNDECIDED", text);
  }

  /** The run state that travels: in `finish-migrate` the one before it. */
  get migratedState(): MigratableRunState | undefined {
    const state = this.#state === "finish-migrate" ? this.#beforeFinish : this.#state;
    if (state === undefined || !isMigratable(state)) return undefined;
    return state === "running" && this.arrivesPaused ? "paused" : state;
  }

  /** @returns a function that ends the subscription. */
  subscribe(listener: RunEventListener): () => void {
    return this.#listeners.add(listener);
  }

  /**
   * Stops the guest. To `paused`: does nothing to a guest that does not run; during `inmigrate` it
   * switches autostart off. To `finish-migrate`: from `running`, `paused` or `prelaunch`.
   * Errors: WRONG_STATE.
   */
  stop(to: "paused" | "finish-migrate"): Promise<void> {
    return this.#serially(() => (to === "paused" ? this.#pause() : this.#finish()));
  }

  /**
   * Starts or continues the guest; during `inmigrate` it switches autostart on instead.
   * Errors: WRONG_STATE when it has ended, is being sent, or runs at the destination; DRIVE_LOCKED when its drives are
   * in use elsewhere; as of the machine's start.
   */
  cont(): Promise<void> {
    return this.#serially(async () => {
      switch (this.#state) {
        case "running":
          return;
        case "inmigrate":
          // A machine that is passed on as it came is not started here: that is refused now, not when it has arrived.
          if (this.#machine.carried !== undefined) break;
          this.autostart = true;
          return;
        case "finish-migrate":
          this.requireDecided();
          throw new MigrationError("WRONG_STATE", "Migration is not finalized yet");
        case "postmigrate":
          if (this.handedOver) {
            throw new MigrationError(
              "WRONG_STATE",
              "The destination took over the guest; continue it there, not here",
            );
          }
          break;
        default:
      }
      await this.#start();
    });
  }

  /**
   * After a migration that did not complete: back from `finish-migrate` to the state before it. A guest whose drives
   * cannot be taken back is paused. Errors: as of {@link cont}.
   */
  restore(): Promise<void> {
    return this.#serially(async () => {
      const before = this.#beforeFinish;
      if (this.#state !== "finish-migrate" || before === undefined) return;
      await this.#takeDrivesOr(before === "running" ? "paused" : before);
      if (before === "running") await this.#start();
      else this.#change(before);
    });
  }

  /**
   * After a load that succeeded: leaves `inmigrate` for the state that the source sent. A guest that ran
   * there, or whose state was not sent, runs if autostart is on and is paused otherwise. A machine that is
   * passed on as it came is always paused, and so is a guest whose drives cannot be taken over: `cont` tries again.
   * Errors: WRONG_STATE; those of taking over the drives.
   */
  arrive(): Promise<void> {
    return this.#serially(async () => {
      const received = this.received ?? "running";
      // It was sent on while it arrived.
      if (this.#state === "postmigrate") return;
      if (this.#state !== "inmigrate") throw this.#refusal(received);
      await this.#takeDrivesOr(received === "running" ? "paused" : received);
      if (received !== "running") this.#change(received);
      else if (this.autostart && this.#machine.carried === undefined) await this.#start();
      else this.#change("paused");
    });
  }

  /**
   * Changes the run state of a guest that does not run, for example from `finish-migrate` to
   * `postmigrate`. Errors: WRONG_STATE when there is no such change.
   */
  set(to: Exclude<RunState, "running">): void {
    if (this.#state === "running" && to !== "internal-error") throw this.#refusal(to);
    this.#change(to);
  }

  async #pause(): Promise<void> {
    if (this.#state === "inmigrate") this.autostart = false;
    if (this.#state !== "running") return;
    await this.#machine.stop();
    this.#change("paused");
    this.#publish({ name: "STOP" });
  }

  async #finish(): Promise<void> {
    const before = this.#state;
    if (!isMigratable(before)) throw this.#refusal("finish-migrate");
    if (before === "running") await this.#machine.stop();
    this.#change("finish-migrate");
    this.#beforeFinish = before;
    if (before === "running") this.#publish({ name: "STOP" });
  }

  async #start(): Promise<void> {
    if (!RUN_STATE_TRANSITIONS[this.#state].includes("running")) throw this.#refusal("running");
    await this.#takeDrives();
    await this.#machine.start();
    this.#change("running");
    this.#publish({ name: "RESUME" });
  }

  /** A guest never runs without its drives. Errors: those of taking them. */
  async #takeDrives(): Promise<void> {
    const { drives } = this.#machine;
    if (this.#drivesAwaited) await drives?.takeOver();
    else await drives?.reclaim();
    this.#drivesAwaited = false;
  }

  /** The same for a guest that is between two states: without its drives it goes to one in which it stands still. */
  async #takeDrivesOr(state: Exclude<MigratableRunState, "running">): Promise<void> {
    try {
      await this.#takeDrives();
    } catch (error) {
      this.#change(state);
      throw error;
    }
  }

  async #followExit(): Promise<void> {
    const exit = await this.#machine.exited;
    this.exit = exit;
    if (this.#state === "shutdown") return;
    this.#change("shutdown");
    const reason = exit.kind === "exit" ? "guest-shutdown" : "guest-panic";
    this.#publish({ name: "SHUTDOWN", data: { guest: true, reason } });
  }

  #change(to: RunState): void {
    if (!RUN_STATE_TRANSITIONS[this.#state].includes(to)) throw this.#refusal(to);
    this.#state = to;
  }

  #refusal(to: RunState): MigrationError {
    const message =
      this.#state === "shutdown"
        ? "The guest program has ended"
        : `The guest is in run state '${this.#state}' and cannot go to '${to}'`;
    return new MigrationError("WRONG_STATE", message);
  }

  #publish(event: RunEvent): void {
    this.#listeners.tell(event);
  }

  /** Runs `step` when every step before it has ended, in whatever way. */
  #serially(step: () => Promise<void>): Promise<void> {
    const result = this.#queue.then(step);
    this.#queue = result.catch(() => undefined);
    return result;
  }
}
