import { MigrationError } from "@peregrine/protocol/errors";
import type { GuestExit } from "@peregrine/shared-state";
import { type ArrivalDirectories, resolverOf } from "./arrival-directories.ts";
import { ControlBlock, REQUEST } from "./control-block.ts";
import { type Departure, GuestInstance } from "./guest-instance.ts";
import type {
  CpuState,
  GuestCommand,
  GuestReport,
  GuestSnapshot,
  GuestThreadData,
  ThreadState,
} from "./guest-messages.ts";
import { CONTROL } from "./rewrite/control-layout.ts";
import { Throttle } from "./throttle.ts";
import { GuestExitSignal } from "./wasi/host.ts";
import type {
  HeldFiles,
  HostClock,
  HostConsole,
  HostFiles,
  HostRandom,
  ResolvePreopen,
  WasiState,
} from "./wasi/index.ts";
import { WasiHost } from "./wasi/wasi-host.ts";

/** What a guest thread needs from the host it runs on. */
export interface GuestHost {
  readonly files: HostFiles;
  readonly clock: HostClock;
  readonly random: HostRandom;
  readonly console: HostConsole;
  report(report: GuestReport): void;
}

/** Longest single wait in a host call, in ms: `Atomics.wait` takes no more than a double, and ends early only by a wake. */
const LONGEST_WAIT_MS = 2 ** 30;

const NS_PER_MS = 1e6;

/**
 * The guest thread: it runs the program, and at each unwinding does what the agent asked for.
 * While the guest runs, `handle` does not return; the agent reaches it through the control memory.
 */
export class GuestProgram {
  readonly #data: GuestThreadData;
  readonly #host: GuestHost;
  readonly #block: ControlBlock;
  readonly #throttle: Throttle;
  readonly #instance: GuestInstance;
  #wasi: WasiHost | undefined;
  #started = false;

  constructor(data: GuestThreadData, host: GuestHost) {
    this.#data = data;
    this.#host = host;
    this.#block = new ControlBlock(data.control);
    this.#throttle = new Throttle(this.#block, () => Number(host.clock.monotonicNs()) / NS_PER_MS);
    // The module's imports exist before the WASI host does: a guest that is still to arrive is instantiated early.
    const names = WebAssembly.Module.imports(data.program.plain).filter(({ kind }) => kind === "function");
    const imports = names.map(
      ({ name }) => [name, (...args: (number | bigint)[]) => this.#wasi!.imports[name]!(...args)] as const,
    );
    this.#instance = new GuestInstance(data, Object.fromEntries(imports));
    this.#instance.instantiate("plain");
    host.report({ kind: "created" });
  }

  handle(command: GuestCommand): void {
    if (command.kind !== "run") {
      this.#answer(() => this.#obey(command));
      return;
    }
    try {
      this.#run();
    } catch (error) {
      // Nobody waits for an answer to `run`, and this guest will not run again.
      this.#host.report({ kind: "exited", exit: exitOf({ kind: "threw", error }) });
    }
  }

  /** Reports what was done, or why it could not be. */
  #answer(act: () => GuestReport): void {
    let report: GuestReport;
    try {
      report = act();
    } catch (error) {
      report = { kind: "failed", error: MigrationError.from(error).serialize() };
    }
    this.#host.report(report);
  }

  #obey(command: Exclude<GuestCommand, { kind: "run" }>): GuestReport {
    switch (command.kind) {
      case "create":
        this.#wasi = new WasiHost({ ...this.#dependencies(), config: command.config });
        return { kind: "ready" };
      case "restore":
        return this.#restore(command.cpu, arrived(command));
      case "rehearse":
        return this.#rehearse(arrived(command));
      case "take-over": {
        const { cpu, wasi, files, variant } = command.state;
        const report = this.#restore(cpu, { restored: wasi, held: files });
        this.#instance.use(variant);
        return report;
      }
      case "use":
        this.#instance.use(command.variant);
        break;
      case "capture":
        break;
    }
    return { kind: "stopped", snapshot: this.#snapshot() };
  }

  #restore(
    cpu: CpuState,
    wasi: { restored: WasiState; resolvePreopen?: ResolvePreopen; held?: HeldFiles },
  ): GuestReport {
    this.#wasi = new WasiHost({ ...this.#dependencies(), ...wasi });
    this.#instance.load(cpu);
    this.#started = this.#block.framesEnd > CONTROL.frames;
    return { kind: "ready" };
  }

  #rehearse(wasi: ArrivedWasi): GuestReport {
    const report = this.#restore(this.#instance.capture(), wasi);
    this.#snapshot();
    this.#wasi!.dispose();
    this.#wasi = undefined;
    this.#started = false;
    return report;
  }

  /** Runs the guest until it has ended, is stopped or needs another thread, and reports that. */
  #run(): void {
    for (;;) {
      this.#throttle.resume();
      const departure = this.#started ? this.#instance.resume() : this.#instance.start();
      this.#started = true;
      if (departure.kind !== "unwound") {
        this.#host.report(
          departure.kind === "out-of-stack"
            ? { kind: "out-of-stack", state: this.#threadState() }
            : { kind: "exited", exit: exitOf(departure) },
        );
        return;
      }
      this.#throttle.sleep();
      const request = this.#block.takeRequest();
      if (request === REQUEST.stop) {
        this.#answer(() => ({ kind: "stopped", snapshot: this.#snapshot() }));
        return;
      }
      if (request !== REQUEST.none) {
        this.#answer(() => {
          this.#instance.use(request === REQUEST.useTracked ? "tracked" : "plain");
          return { kind: "switched", snapshot: this.#snapshot() };
        });
      }
    }
  }

  #snapshot(): GuestSnapshot {
    return { cpu: this.#instance.capture(), wasi: this.#wasi!.capture(), unmovable: this.#wasi!.unmovable() };
  }

  #threadState(): ThreadState {
    return {
      cpu: this.#instance.capture(),
      wasi: this.#wasi!.capture(),
      files: this.#wasi!.held(),
      variant: this.#instance.variant,
    };
  }

  #dependencies(): Omit<ConstructorParameters<typeof WasiHost>[0], "config" | "restored"> {
    const { files, clock, random, console } = this.#host;
    return {
      memory: this.#data.memory,
      files,
      clock,
      random,
      console,
      control: {
        interrupted: () => this.#block.interrupted(),
        wait: (deadlineNs) => this.#wait(deadlineNs),
        unwind: () => this.#instance.unwind(),
        markDirty: (address, length) => this.#markDirty(address, length),
      },
    };
  }

  #wait(deadlineNs: bigint | undefined): void {
    const left =
      deadlineNs === undefined
        ? LONGEST_WAIT_MS
        : Number(deadlineNs - this.#host.clock.monotonicNs()) / NS_PER_MS;
    if (left > 0) this.#throttle.wait(Math.min(left, LONGEST_WAIT_MS));
  }

  #markDirty(address: number, length: number): void {
    if (length === 0) return;
    const map = new Uint8Array(this.#data.control.buffer, CONTROL.dirtyMap, CONTROL.dirtyMapBytes);
    const last = (address + length - 1) >>> 12;
    // Atomic, so that on no processor a mark is seen before what it stands for.
    for (let page = address >>> 12; page <= last; page++) Atomics.store(map, page, 1);
  }
}

interface ArrivedWasi {
  readonly restored: WasiState;
  readonly resolvePreopen: ResolvePreopen;
}

function arrived({ wasi, directories }: { wasi: WasiState; directories: ArrivalDirectories }): ArrivedWasi {
  return { restored: wasi, resolvePreopen: resolverOf(directories) };
}

/** Writes the active data segments, once in a guest's life. Errors: GUEST_TRAP when one does not fit, as the engine would. */
export function writeSegments({ program, memory }: GuestThreadData): void {
  const bytes = new Uint8Array(memory.buffer);
  for (const segment of program.info.segments) {
    if (segment.address + segment.bytes.length > bytes.length)
      throw new MigrationError(
        "GUEST_TRAP",
        `A data segment at ${segment.address} does not fit into the program's memory`,
      );
    bytes.set(segment.bytes, segment.address);
  }
}

function exitOf(departure: Extract<Departure, { kind: "finished" | "threw" }>): GuestExit {
  if (departure.kind === "finished") return { kind: "exit", status: 0 };
  const { error } = departure;
  if (error instanceof GuestExitSignal) return { kind: "exit", status: error.status };
  return { kind: "trap", message: error instanceof Error ? error.message : String(error) };
}
