import { MigrationError } from "@peregrine/protocol";
import { runHook } from "./run-hook.ts";

/** Commands of the operator, who names them on the command line or in the configuration file, and nowhere else. */
export interface HookOptions {
  /** Run when the guest is here: it was started, or has arrived. Undefined: nothing is run. */
  readonly arrival: string | undefined;
  /** Run when the guest is here no longer: it has moved away, has ended, or its agent ends. */
  readonly departure: string | undefined;
  /** Milliseconds that each may take. */
  readonly limit: number;
}

export type HookName = "arrival" | "departure";
export type HookReason = "started" | "arrived" | "moved" | "ended";

/** What became of a command. */
export interface HookReport {
  readonly hook: HookName;
  readonly reason: HookReason;
  readonly state: "waiting" | "running" | "done" | "failed";
  /** What went wrong, for `failed`. */
  readonly failure: string | null;
}

export interface GuestHooksOptions extends HookOptions {
  /** Name of the guest. */
  readonly name: string;
  /** Is told of a command that has failed. Nothing else follows from it: the guest stays where it is. */
  readonly failed: (error: MigrationError) => void;
}

/**
 * Runs the operator's commands as the guest comes and goes, one after the other. Nothing waits for them but the end of
 * the agent. The guest is here once at most in the life of an agent, so each runs once at most.
 */
export class GuestHooks {
  readonly #options: GuestHooksOptions;
  readonly #reports: HookReport[] = [];
  #place: "awaited" | "here" | "left" = "awaited";
  #queue: Promise<void> = Promise.resolve();

  constructor(options: GuestHooksOptions) {
    this.#options = options;
  }

  /** The guest is here, whether or not it runs. */
  here(reason: "started" | "arrived"): void {
    if (this.#place !== "awaited") return;
    this.#place = "here";
    this.#enqueue("arrival", reason);
  }

  /** The guest is here no longer. Does nothing for one that never was. */
  left(reason: "moved" | "ended"): void {
    if (this.#place !== "here") return;
    this.#place = "left";
    this.#enqueue("departure", reason);
  }

  /** Resolves when no command runs any more. */
  settled(): Promise<void> {
    return this.#queue;
  }

  report(): readonly HookReport[] {
    return this.#reports.slice();
  }

  #enqueue(hook: HookName, reason: HookReason): void {
    const command = this.#options[hook];
    if (command === undefined) return;
    const place = this.#reports.push({ hook, reason, state: "waiting", failure: null }) - 1;
    this.#queue = this.#queue.then(() => this.#run(command, place));
  }

  async #run(command: string, place: number): Promise<void> {
    const { name, limit, failed } = this.#options;
    const waiting = this.#reports[place]!;
    const { hook, reason } = waiting;
    this.#reports[place] = { ...waiting, state: "running" };
    const environment = { PEREGRINE_HOOK: hook, PEREGRINE_GUEST: name, PEREGRINE_REASON: reason };
    const failure = await runHook({ command, environment, limit });
    this.#reports[place] = {
      ...waiting,
      state: failure === undefined ? "done" : "failed",
      failure: failure ?? null,
    };
    if (failure === undefined) return;
    failed(new MigrationError("HOOK_FAILED", `The command of --on-${hook} ${failure}: ${command}`));
  }
}
