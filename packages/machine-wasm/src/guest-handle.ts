import { MigrationError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import { ControlBlock, REQUEST, throttleInterval } from "./control-block.ts";
import type { CpuState, GuestReport, GuestSnapshot, GuestThread, Variant } from "./guest-messages.ts";
import type { Preopen, WasiConfig, WasiState } from "./wasi/index.ts";

type Phase =
  /** The thread exists, its guest does not yet. */
  | { readonly kind: "empty" }
  | { readonly kind: "stopped" }
  | { readonly kind: "running" }
  | { readonly kind: "exited" };

/**
 * The agent's end of the guest thread: one operation at a time, each answered by one report.
 * An operation on a guest that ends meanwhile is answered by its end.
 */
export class GuestHandle {
  readonly exited: Promise<GuestExit>;
  readonly #thread: GuestThread;
  readonly #block: ControlBlock;
  readonly #resolveExit: (exit: GuestExit) => void;
  #phase: Phase = { kind: "empty" };
  #variant: Variant = "plain";
  #answer: ((report: GuestReport) => void) | undefined;
  #last: Promise<unknown>;
  #throttle: ReturnType<typeof setInterval> | undefined;

  constructor(thread: GuestThread, control: WebAssembly.Memory) {
    this.#thread = thread;
    this.#block = new ControlBlock(control);
    const { promise, resolve } = Promise.withResolvers<GuestExit>();
    this.exited = promise;
    this.#resolveExit = resolve;
    thread.onReport((report) => this.#onReport(report));
    thread.onFailure((error) =>
      this.#onExit({ kind: "trap", message: `the guest thread ended: ${error.message}` }),
    );
    this.#last = this.#nextReport().then(expect("created"));
  }

  /** Resolves once the thread is up and the program is instantiated. */
  async created(): Promise<void> {
    await this.#last;
  }

  create(config: WasiConfig): Promise<void> {
    return this.#queue(async () => {
      expect("ready")(await this.#ask({ kind: "create", config }));
      this.#phase = { kind: "stopped" };
    });
  }

  restore(cpu: CpuState, wasi: WasiState, preopens: readonly Preopen[]): Promise<void> {
    return this.#queue(async () => {
      expect("ready")(await this.#ask({ kind: "restore", cpu, wasi, preopens }));
      this.#phase = { kind: "stopped" };
    });
  }

  /** Does nothing when the guest runs already, or has ended. Errors: WRONG_STATE when there is no guest yet. */
  start(): Promise<void> {
    return this.#queue(() => {
      if (this.#phase.kind === "empty")
        throw new MigrationError("WRONG_STATE", "The guest has not arrived yet");
      if (this.#phase.kind !== "stopped") return;
      this.#phase = { kind: "running" };
      this.#thread.post({ kind: "run", variant: this.#variant });
    });
  }

  /** @returns the state of the stopped guest; undefined when it has ended. */
  stop(): Promise<GuestSnapshot | undefined> {
    return this.#queue(async () => {
      if (this.#phase.kind === "running") {
        const answer = this.#nextReport();
        this.#block.request(REQUEST.stop);
        return this.#stopped(await answer);
      }
      if (this.#phase.kind === "stopped") return this.#stopped(await this.#ask({ kind: "capture" }));
      return undefined;
    });
  }

  #stopped(report: GuestReport): GuestSnapshot | undefined {
    if (report.kind === "exited") return undefined;
    this.#phase = { kind: "stopped" };
    return expect("stopped")(report).snapshot;
  }

  /** Changes the variant that runs. @returns the state at the change; undefined when the guest has ended. */
  use(variant: Variant): Promise<GuestSnapshot | undefined> {
    return this.#queue(async () => {
      const changes = variant !== this.#variant;
      this.#variant = variant;
      if (this.#phase.kind === "stopped") return this.#stopped(await this.#ask({ kind: "capture" }));
      if (this.#phase.kind !== "running" || !changes) return undefined;
      const answer = this.#nextReport();
      this.#block.request(variant === "tracked" ? REQUEST.useTracked : REQUEST.usePlain);
      const report = await answer;
      return report.kind === "exited" ? undefined : expect("switched")(report).snapshot;
    });
  }

  /** Wakes a guest that waits for console input. */
  wake(): void {
    this.#block.wake();
  }

  setThrottle(percentage: number): void {
    clearInterval(this.#throttle);
    this.#throttle = undefined;
    this.#block.setThrottle(percentage);
    if (percentage === 0) return;
    this.#throttle = setInterval(() => {
      if (this.#phase.kind === "running") this.#block.interrupt();
    }, throttleInterval(percentage));
  }

  get isStopped(): boolean {
    return this.#phase.kind === "stopped";
  }

  get hasEnded(): boolean {
    return this.#phase.kind === "exited";
  }

  async dispose(): Promise<void> {
    this.setThrottle(0);
    await this.#thread.terminate();
    this.#onExit({ kind: "trap", message: "the guest was ended by its agent" });
  }

  /** Runs operations one after the other; one that fails does not keep the next from running. */
  #queue<T>(operation: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #ask(command: Parameters<GuestThread["post"]>[0]): Promise<GuestReport> {
    const answer = this.#nextReport();
    this.#thread.post(command);
    return answer;
  }

  #nextReport(): Promise<GuestReport> {
    const { promise, resolve } = Promise.withResolvers<GuestReport>();
    if (this.#exit === undefined) this.#answer = resolve;
    else resolve({ kind: "exited", exit: this.#exit });
    return promise;
  }

  #exit: GuestExit | undefined;

  #onReport(report: GuestReport): void {
    if (report.kind === "exited") {
      this.#onExit(report.exit);
      return;
    }
    const answer = this.#answer;
    this.#answer = undefined;
    answer?.(report);
  }

  #onExit(exit: GuestExit): void {
    if (this.#exit !== undefined) return;
    this.#exit = exit;
    this.#phase = { kind: "exited" };
    clearInterval(this.#throttle);
    this.#answer?.({ kind: "exited", exit });
    this.#answer = undefined;
    this.#resolveExit(exit);
  }
}

/** Takes a report apart; one that says failed is thrown, the guest's end too. */
function expect<K extends GuestReport["kind"]>(
  kind: K,
): (report: GuestReport) => Extract<GuestReport, { kind: K }> {
  return (report) => {
    if (report.kind === kind) return report as Extract<GuestReport, { kind: K }>;
    if (report.kind === "failed") throw MigrationError.deserialize(report.error);
    if (report.kind === "exited") throw guestEnded(report.exit);
    throw new MigrationError("INTERNAL", `The guest thread reported ${report.kind} where ${kind} was due`);
  };
}

export function guestEnded(exit: GuestExit): MigrationError {
  const how = exit.kind === "exit" ? `exited with status ${exit.status}` : `failed: ${exit.message}`;
  return new MigrationError("DEVICE_STATE", `The guest has ended: it ${how}`);
}
