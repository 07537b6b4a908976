import { MigrationError } from "@peregrine/protocol";
import type { GuestExit } from "@peregrine/shared-state";
import type { ArrivalDirectories } from "./arrival-directories.ts";
import { ControlBlock, REQUEST } from "./control-block.ts";
import {
  type CpuState,
  type GuestCommand,
  type GuestReport,
  type GuestSnapshot,
  type GuestThread,
  LARGEST_STACK_MIB,
  type ThreadState,
  type Variant,
} from "./guest-messages.ts";
import { THROTTLE_SLICE_MS } from "./throttle.ts";
import type { WasiConfig, WasiState } from "./wasi/index.ts";

type Phase =
  /** The thread exists, its guest does not yet. */
  | { readonly kind: "empty" }
  | { readonly kind: "stopped" }
  | { readonly kind: "running" }
  | { readonly kind: "exited" };

/**
 * The agent's end of the guest thread: one operation at a time, each answered by one report.
 * An operation on a guest that ends meanwhile is answered by its end. A thread whose stack is too small to resume the
 * guest is replaced by one with a larger stack; what was asked of the one is answered by the other.
 */
export class GuestHandle {
  /** Resolves when the guest ends by itself; never once it is disposed of. */
  readonly exited: Promise<GuestExit>;
  readonly #startThread: (stackMib: number) => GuestThread;
  readonly #block: ControlBlock;
  /** Those that may still be there: the guest's own is the last. */
  readonly #threads = new Set<GuestThread>();
  #thread: GuestThread;
  #stackMib: number;
  readonly #resolveExit: (exit: GuestExit) => void;
  #phase: Phase = { kind: "empty" };
  #answer: ((report: GuestReport) => void) | undefined;
  #exit: GuestExit | undefined;
  #isDisposed = false;
  #last: Promise<unknown>;
  #throttle: ReturnType<typeof setInterval> | undefined;

  constructor(startThread: (stackMib: number) => GuestThread, control: WebAssembly.Memory, stackMib: number) {
    this.#startThread = startThread;
    this.#block = new ControlBlock(control);
    this.#stackMib = stackMib;
    const { promise, resolve } = Promise.withResolvers<GuestExit>();
    this.exited = promise;
    this.#resolveExit = resolve;
    this.#thread = this.#start((report) => this.#onReport(report));
    this.#last = this.#nextReport().then(expect("created"));
    // Whoever uses the guest awaits it; until then a failure is no unhandled one.
    this.#last.catch(() => undefined);
  }

  /** Stack of the guest's thread: what it was made with, or more. */
  get stackMib(): number {
    return this.#stackMib;
  }

  /** Resolves once the thread is up and the program is instantiated. */
  async created(): Promise<void> {
    await this.#last;
  }

  create(config: WasiConfig): Promise<void> {
    return this.#queue(async () => {
      expect("ready")(await this.#ask({ kind: "create", config }));
      this.#become({ kind: "stopped" });
    });
  }

  restore(cpu: CpuState, wasi: WasiState, directories: ArrivalDirectories): Promise<void> {
    return this.#queue(async () => {
      expect("ready")(await this.#ask({ kind: "restore", cpu, wasi, directories }));
      this.#become({ kind: "stopped" });
    });
  }

  /** Restores a guest in vain, before there is one. That it cannot be restored is found when it counts. */
  rehearse(wasi: WasiState, directories: ArrivalDirectories): Promise<void> {
    return this.#queue(async () => {
      if (this.#phase.kind === "empty") await this.#ask({ kind: "rehearse", wasi, directories });
    });
  }

  /** Does nothing when the guest runs already, or has ended. Errors: WRONG_STATE when there is no guest yet. */
  start(): Promise<void> {
    return this.#queue(() => {
      if (this.#phase.kind === "empty")
        throw new MigrationError("WRONG_STATE", "The guest has not arrived yet");
      if (this.#phase.kind !== "stopped") return;
      this.#become({ kind: "running" });
      this.#thread.post({ kind: "run" });
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

  /** A guest may have ended between its report and this. */
  #become(phase: Phase): void {
    if (this.#exit === undefined) this.#phase = phase;
  }

  #stopped(report: GuestReport): GuestSnapshot | undefined {
    if (report.kind === "exited") return undefined;
    this.#become({ kind: "stopped" });
    return expect("stopped")(report).snapshot;
  }

  /**
   * Changes the variant that runs. A guest whose variant cannot be changed goes on with the one it has.
   * @returns the state at the change; undefined when there is no guest, or it has ended.
   */
  use(variant: Variant): Promise<GuestSnapshot | undefined> {
    return this.#queue(async () => {
      if (this.#phase.kind === "stopped") return this.#stopped(await this.#ask({ kind: "use", variant }));
      if (this.#phase.kind !== "running") return undefined;
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

  /** Percentage (0..99) of time that the guest is kept from running: it is made to leave for its sleep again and again. */
  setThrottle(percentage: number): void {
    clearInterval(this.#throttle);
    this.#throttle = undefined;
    this.#block.setThrottle(percentage);
    if (percentage === 0 || this.hasEnded) return;
    this.#throttle = setInterval(() => {
      if (this.#phase.kind === "running") this.#block.interrupt();
    }, THROTTLE_SLICE_MS);
  }

  get isStopped(): boolean {
    return this.#phase.kind === "stopped";
  }

  get hasEnded(): boolean {
    return this.#phase.kind === "exited";
  }

  async dispose(): Promise<void> {
    this.#isDisposed = true;
    this.setThrottle(0);
    await Promise.all(Array.from(this.#threads, (thread) => thread.terminate()));
    this.#onExit({ kind: "trap", message: "the guest was ended by its agent" });
  }

  /** Runs operations one after the other; one that fails does not keep the next from running. */
  #queue<T>(operation: () => T | Promise<T>): Promise<T> {
    const result = this.#last.then(operation);
    this.#last = result.catch(() => undefined);
    return result;
  }

  #start(onReport: (report: GuestReport) => void): GuestThread {
    const thread = this.#startThread(this.#stackMib);
    this.#threads.add(thread);
    thread.onReport(onReport);
    thread.onFailure((error) => {
      // A thread that was replaced may end.
      if (this.#threads.delete(thread))
        this.#onExit({ kind: "trap", message: `the guest thread ended: ${error.message}` });
    });
    return thread;
  }

  /** Gives the guest to a thread with twice the stack. */
  #replaceThread(state: ThreadState): void {
    const needed = this.#stackMib * 2;
    if (needed > LARGEST_STACK_MIB) {
      const message = `its call stack cannot be continued on a stack of ${this.#stackMib} MiB, and ${LARGEST_STACK_MIB} are the most there can be`;
      this.#onExit({ kind: "trap", message });
      return;
    }
    this.#stackMib = needed;
    const old = this.#thread;
    const failed = (why: string): void =>
      this.#onExit({ kind: "trap", message: `a thread with a larger stack could not go on with it: ${why}` });
    let hasTakenOver = false;
    try {
      this.#thread = this.#start((report) => {
        if (hasTakenOver) this.#onReport(report);
        else if (report.kind === "created") this.#thread.post({ kind: "take-over", state });
        else if (report.kind === "ready") {
          hasTakenOver = true;
          this.#thread.post({ kind: "run" });
          this.#threads.delete(old);
          void old.terminate();
        } else failed(report.kind === "failed" ? report.error.message : `it reported ${report.kind}`);
      });
    } catch (error) {
      failed(MigrationError.from(error).message);
    }
  }

  #ask(command: GuestCommand): Promise<GuestReport> {
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

  #onReport(report: GuestReport): void {
    if (report.kind === "exited") {
      this.#onExit(report.exit);
      return;
    }
    if (report.kind === "out-of-stack") {
      if (this.#exit === undefined && !this.#isDisposed) this.#replaceThread(report.state);
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
    if (!this.#isDisposed) this.#resolveExit(exit);
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

function guestEnded(exit: GuestExit): MigrationError {
  const how = exit.kind === "exit" ? `exited with status ${exit.status}` : `failed: ${exit.message}`;
  return new MigrationError("DEVICE_STATE", `The guest has ended: it ${how}`);
}
