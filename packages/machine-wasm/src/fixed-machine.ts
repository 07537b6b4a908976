import { MigrationError } from "@peregrine/protocol";
import { DeviceRegistry, type GuestExit, type Machine, type RamAccess } from "@peregrine/shared-state";
import type { ConsoleSource } from "./console-source.ts";
import { type GuestDrives, withDrives } from "./guest-drives.ts";
import type { WasiConfig } from "./wasi/index.ts";

/** The thread that runs an unmodified program, as the agent sees it. Made by the host. */
export interface FixedThread {
  /** Resolves when the program is instantiated. Errors: NOT_WASM, UNSUPPORTED_FEATURE, NO_SUCH_FILE, BAD_PARAMETER. */
  readonly ready: Promise<void>;
  /** Resolves once, when the program or its thread ends. */
  readonly exited: Promise<GuestExit>;
  /** Bytes of the program's memory, as of its last host call. */
  readonly memoryBytes: number;
  /** Runs the program from its beginning. */
  start(): void;
  /** Makes a program that waits for console input look again. */
  wake(): void;
  terminate(): Promise<void>;
}

/** What a program that stays on its host is started with. */
export interface FixedGuest {
  /** For people: the file's name. */
  readonly name: string;
  readonly module: Uint8Array;
  readonly stackMib: number;
  readonly wasi: WasiConfig;
}

/** What a machine that cannot be migrated needs of its host. */
export interface FixedMachineHost {
  startThread(guest: FixedGuest): FixedThread;
  readonly drives?: GuestDrives | undefined;
  readonly input: ConsoleSource;
}

const STAYS = "the guest was started with --no-migrate";

/**
 * A WebAssembly program that runs as it is, without the means to stop it or to read its state. It can do
 * what the rewriter does not support, and it stays on its host.
 */
export class FixedMachine implements Machine {
  readonly type = "wasm-1";
  readonly devices = new DeviceRegistry();
  readonly exited: Promise<GuestExit>;
  readonly program: string;
  readonly #host: FixedMachineHost;
  readonly #thread: FixedThread;
  #started = false;
  #disposed = false;

  private constructor(host: FixedMachineHost, name: string, thread: FixedThread) {
    this.#host = host;
    this.#thread = thread;
    this.program = name;
    this.exited = thread.exited;
    this.devices.markUnmigratable("wasm-cpu", STAYS);
  }

  /** Makes a machine with a program that was not started yet. Errors: as {@link FixedThread.ready}. */
  static async create(host: FixedMachineHost, guest: FixedGuest): Promise<FixedMachine> {
    let thread: FixedThread | undefined;
    try {
      const wasi = withDrives(guest.wasi, host.drives?.drives ?? []);
      thread = host.startThread({ ...guest, wasi });
      await thread.ready;
    } catch (error) {
      await thread?.terminate();
      await host.drives?.dispose();
      throw error;
    }
    return new FixedMachine(host, guest.name, thread);
  }

  /** Bytes of guest memory in use. */
  get memoryBytes(): number {
    return this.#thread.memoryBytes;
  }

  ram(): RamAccess {
    throw refusal("its memory cannot be read");
  }

  prepared(): Promise<void> {
    return Promise.resolve();
  }

  /** Errors: WRONG_STATE when it was ended. */
  start(): Promise<void> {
    if (this.#disposed) return Promise.reject(new MigrationError("WRONG_STATE", "The guest was ended"));
    if (this.#started) return Promise.resolve();
    this.#started = true;
    this.#thread.start();
    this.#host.input.attach(() => this.#thread.wake());
    return Promise.resolve();
  }

  /** A program that was not started yet is stopped already. Errors: WRONG_STATE. */
  stop(): Promise<void> {
    return this.#started ? Promise.reject(refusal("it cannot be stopped and continued")) : Promise.resolve();
  }

  startDirtyLog(): Promise<void> {
    return Promise.reject(refusal("its stores cannot be logged"));
  }

  stopDirtyLog(): Promise<void> {
    return Promise.resolve();
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#host.input.detach();
    await this.#thread.terminate();
    await this.#host.drives?.dispose();
  }
}

function refusal(consequence: string): MigrationError {
  return new MigrationError("WRONG_STATE", `This is not possible: ${STAYS}, so ${consequence}`);
}
