import { MigrationError } from "@peregrine/protocol";
import {
  type DevicePhase,
  DeviceRegistry,
  type Drive,
  type GuestExit,
  type Machine,
  type RamAccess,
} from "@peregrine/shared-state";
import { type ArrivalDirectories, NO_DIRECTORIES, resolverOf } from "./arrival-directories.ts";
import { ArrivedPages } from "./arrived-pages.ts";
import { NO_INPUT, withUnread } from "./console-source.ts";
import { ControlBlock } from "./control-block.ts";
import { emptyCpu, loadCpu, saveCpu } from "./cpu-device.ts";
import {
  checkDrives,
  checkNoDrives,
  type GuestDrives,
  requireRoomForDrives,
  saveDrives,
  WASM_DRIVES,
  type WasmDrivesState,
  withDrives,
} from "./guest-drives.ts";
import { GuestHandle } from "./guest-handle.ts";
import type { CompiledProgram, GuestSnapshot, GuestThread } from "./guest-messages.ts";
import { type GuestMemories, makeMemories } from "./guest-memories.ts";
import { writeSegments } from "./guest-program.ts";
import { CONTROL } from "./rewrite/control-layout.ts";
import {
  fromWasiSection,
  toWasiSection,
  WASI_STATE,
  type WasiConfig,
  type WasiSection,
  type WasiState,
} from "./wasi/index.ts";
import { checkSetup } from "./setup-check.ts";
import {
  type HashedProgram,
  hashedProgram,
  loadModule,
  prepareHash,
  type ProgramIdentity,
  saveModule,
  WASM_CPU,
  WASM_MODULE,
  type WasmCpuState,
  type WasmModuleState,
} from "./wasm-devices.ts";
import type { WasmMachineHost } from "./wasm-machine-host.ts";
import { newWasmRamShared, type WasmRamData } from "./wasm-ram.ts";

const WASM_PAGE = 65536;

/** A running or arriving program with everything that belongs to it. */
interface Guest extends GuestMemories {
  readonly identity: HashedProgram;
  /** Of a guest that arrives: its {@link ArrivedPages}. */
  readonly arrived: SharedArrayBuffer | undefined;
  /** Resolves when the program is compiled and its thread is up. */
  readonly thread: Promise<{ readonly handle: GuestHandle; readonly program: CompiledProgram }>;
}

/** A program that is started here, and did not arrive. */
export interface FreshGuest extends ProgramIdentity {
  readonly wasi: WasiConfig;
}

/** The early section that lets the destination look for the guest's files before anything else is sent. */
const WASI_SETUP = { ...WASI_STATE, name: "wasi-setup" };

/** A WebAssembly program as a machine: type `wasm-1`. */
export class WasmMachine implements Machine {
  readonly type = "wasm-1";
  readonly devices = new DeviceRegistry();
  readonly drives?: GuestDrives;
  readonly exited: Promise<GuestExit>;
  readonly #host: WasmMachineHost;
  /** Of a guest that is to arrive. */
  readonly #directories: ArrivalDirectories;
  /** Bytes of memory that a guest from elsewhere may have. */
  readonly #acceptedBytes: number;
  readonly #resolveExit: (exit: GuestExit) => void;
  #guest: Guest | undefined;
  #handle: GuestHandle | undefined;
  #snapshot: GuestSnapshot | undefined;
  #cpu: WasmCpuState | undefined;
  /** The drives that the guest says it has were found to be those of this host. */
  #drivesChecked = false;
  /** What loads the last devices has run once. Never rejects. */
  #rehearsed: Promise<void> = Promise.resolve();
  #throttle = 0;
  /** The dirty log is on, and was switched off while the guest did not run. */
  #logStopsAtStart = false;
  #attachment: ReturnType<typeof setTimeout> | undefined;
  #disposed = false;

  private constructor(host: WasmMachineHost, directories: ArrivalDirectories, acceptedBytes = Infinity) {
    this.#host = host;
    this.#acceptedBytes = acceptedBytes;
    this.#directories = directories;
    if (host.drives !== undefined) this.drives = host.drives;
    const { promise, resolve } = Promise.withResolvers<GuestExit>();
    this.exited = promise;
    this.#resolveExit = resolve;
    this.#registerDevices();
  }

  /**
   * Makes a machine with a program that was not started yet.
   * Errors: NOT_WASM, UNSUPPORTED_FEATURE, NO_SUCH_FILE for a directory, BAD_PARAMETER for an argument.
   */
  static async create(host: WasmMachineHost, fresh: FreshGuest): Promise<WasmMachine> {
    const machine = new WasmMachine(host, NO_DIRECTORIES);
    try {
      const guest = await machine.#adopt(await hashedProgram(fresh));
      const { handle, program } = await guest.thread;
      writeSegments({ program, memory: guest.memory, control: guest.control });
      await handle.create(withDrives(fresh.wasi, machine.#driveList));
    } catch (error) {
      await machine.dispose();
      throw error;
    }
    return machine;
  }

  /**
   * Makes a machine that waits for a guest to arrive. One with other directories is refused when it comes: DEVICE_STATE.
   * @param acceptedBytes of memory that it may have, then and later: it cannot grow beyond them. Default: any number.
   * Errors: BAD_PARAMETER for a directory in the place of its drives.
   */
  static incoming(
    host: WasmMachineHost,
    directories: ArrivalDirectories = NO_DIRECTORIES,
    acceptedBytes?: number,
  ): WasmMachine {
    requireRoomForDrives(directories.given, host.drives?.drives ?? []);
    void prepareHash();
    return new WasmMachine(host, directories, acceptedBytes);
  }

  get #driveList(): readonly Drive[] {
    return this.drives?.drives ?? [];
  }

  /** What the guest runs, once that is known. */
  get program(): string | undefined {
    return this.#guest?.identity.name;
  }

  /** Bytes of guest memory in use. */
  get memoryBytes(): number {
    return this.#guest?.memory.buffer.byteLength ?? 0;
  }

  /**
   * Makes the memories at once and prepares the rest meanwhile.
   * @param memoryPages of a guest that arrives: what its memory has already.
   * Errors: those of {@link makeMemories}.
   */
  async #adopt(identity: HashedProgram, memoryPages?: number): Promise<Guest> {
    if (this.#guest !== undefined)
      throw new MigrationError("WRONG_STATE", "The guest's program has arrived already");
    await this.#host.validate(identity.module);
    this.#checkAlive();
    const memories = makeMemories(identity.module, memoryPages, this.#acceptedBytes);
    const { memory, control, maximumBytes } = memories;
    await this.#host.adviseMemory?.(memory, memories.mostBytes);
    this.#checkAlive();
    new ControlBlock(control).framesEnd = CONTROL.frames;
    const thread = this.#prepare(identity, memory, control);
    // Whoever needs the thread awaits it; until then a failure is no unhandled one.
    thread.catch(() => undefined);
    const arrived = memoryPages === undefined ? undefined : ArrivedPages.allocate(maximumBytes);
    const guest = { identity, ...memories, arrived, thread };
    this.#guest = guest;
    return guest;
  }

  async #prepare(
    identity: ProgramIdentity,
    memory: WebAssembly.Memory,
    control: WebAssembly.Memory,
  ): Promise<{ handle: GuestHandle; program: CompiledProgram }> {
    const program = await this.#host.prepare(identity.module);
    this.#checkAlive();
    const data = { program, memory, control };
    const startThread = (stackMib: number): GuestThread => this.#host.startThread(data, stackMib);
    const handle = new GuestHandle(startThread, control, identity.stackMib);
    this.#handle = handle;
    handle.setThrottle(this.#throttle);
    void handle.exited.then(this.#resolveExit);
    await handle.created();
    return { handle, program };
  }

  #checkAlive(): void {
    if (this.#disposed) throw new MigrationError("WRONG_STATE", "The guest was ended");
  }

  #require(): Guest {
    this.#checkAlive();
    if (this.#guest === undefined)
      throw new MigrationError("WRONG_STATE", "The guest's program has not arrived yet");
    return this.#guest;
  }

  get ramModule(): string {
    return new URL("wasm-ram.ts", import.meta.url).href;
  }

  ram(): RamAccess {
    const { memory, control, maximumBytes, mostBytes, arrived } = this.#require();
    const shared = newWasmRamShared(maximumBytes);
    const data: WasmRamData = { memory, control, maximumBytes, mostBytes, ...shared, arrived };
    return { module: this.ramModule, data };
  }

  async prepared(): Promise<void> {
    await this.#require().thread;
    await this.#rehearsed;
  }

  async start(): Promise<void> {
    const { handle } = await this.#require().thread;
    this.#snapshot = undefined;
    if (this.#logStopsAtStart) await handle.use("plain");
    this.#logStopsAtStart = false;
    await handle.start();
    // Whoever waits for the guest to run comes first.
    this.#attachment = setTimeout(() => this.#host.input.attach(() => handle.wake()), 0);
  }

  async stop(): Promise<void> {
    const { handle } = await this.#require().thread;
    // No byte may be taken from the console that would not travel.
    this.#detachInput();
    this.#snapshot = undefined;
    try {
      this.#snapshot = await handle.stop();
    } catch (error) {
      // It is stopped, and its state is taken again when it is to be saved.
      if (!handle.isStopped) throw error;
    }
  }

  #detachInput(): void {
    clearTimeout(this.#attachment);
    this.#host.input.detach();
  }

  async startDirtyLog(): Promise<void> {
    const { handle } = await this.#require().thread;
    this.#logStopsAtStart = false;
    this.#snapshot = await handle.use("tracked");
    // What host calls wrote before is in there too. It would be sent a second time: at first all of memory is dirty.
    const { control } = this.#require();
    new Uint8Array(control.buffer, CONTROL.dirtyMap, CONTROL.dirtyMapBytes).fill(0);
  }

  async stopDirtyLog(): Promise<void> {
    const { handle } = await this.#require().thread;
    // One that stands still writes nothing; where it has gone to another host it will not run here again.
    this.#logStopsAtStart = handle.isStopped;
    if (!this.#logStopsAtStart) await handle.use("plain");
  }

  setThrottle(percentage: number): void {
    this.#throttle = percentage;
    this.#handle?.setThrottle(percentage);
  }

  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#detachInput();
    await this.#guest?.thread.catch(() => undefined);
    await this.#handle?.dispose();
    // Nothing writes to them any more.
    await this.drives?.dispose();
  }

  #registerDevices(): void {
    const early = { instance: 0, early: true };
    const late = { instance: 0, early: false };
    // In front of all else: whether it fits is known before anything is made.
    this.devices.register({
      ...early,
      description: WASM_DRIVES,
      isPresent: () => this.#driveList.length > 0,
      save: () => saveDrives(this.#driveList),
      load: (value) => {
        checkDrives(value as WasmDrivesState, this.#driveList);
        this.#drivesChecked = true;
      },
    });
    this.devices.register({
      ...early,
      description: WASM_MODULE,
      save: () => this.#saveModule(),
      load: async (value) => {
        if (!this.#drivesChecked) checkNoDrives(this.#driveList);
        const state = value as WasmModuleState;
        await this.#adopt(await loadModule(state), state.memory_pages);
      },
    });
    this.devices.register({
      ...early,
      description: WASI_SETUP,
      save: async () => toWasiSection({ ...(await this.#movableWasi("early")), ...NO_INPUT }),
      load: (value) => {
        const wasi = fromWasiSection(value as WasiSection);
        checkSetup(wasi, this.#host.files, resolverOf(this.#directories));
        this.#rehearsed = this.#rehearse(wasi).catch(() => undefined);
      },
    });
    this.devices.register({
      ...late,
      description: WASM_CPU,
      save: () => this.#saveCpu(),
      example: async () => {
        const guest = this.#require();
        const { program } = await guest.thread;
        return emptyCpu({ ...guest, program });
      },
      load: (value) => this.#loadCpu(value as WasmCpuState),
    });
    this.devices.register({
      ...late,
      description: WASI_STATE,
      save: async () => toWasiSection(withUnread(await this.#movableWasi("late"), this.#host.input.unread())),
      example: async () => toWasiSection({ ...(await this.#movableWasi("early")), ...NO_INPUT }),
      load: (value) => this.#restore(fromWasiSection(value as WasiSection)),
    });
  }

  /**
   * State outside of the memories: of the stop, or for the early devices of the moment when the dirty log was switched on.
   * Errors: WRONG_STATE.
   */
  async #captured(phase: DevicePhase): Promise<GuestSnapshot> {
    const { handle } = await this.#require().thread;
    if (this.#snapshot === undefined && handle.isStopped) this.#snapshot = await handle.stop();
    if (this.#snapshot !== undefined && (phase === "early" || handle.isStopped)) return this.#snapshot;
    throw new MigrationError("WRONG_STATE", handle.hasEnded ? "The guest has ended" : "The guest is running");
  }

  async #movableWasi(phase: DevicePhase): Promise<WasiState> {
    const { wasi, unmovable } = await this.#captured(phase);
    if (unmovable.length > 0)
      throw new MigrationError("DEVICE_STATE", `The guest cannot be moved: ${unmovable.join("; ")}`);
    return wasi;
  }

  async #saveModule(): Promise<WasmModuleState> {
    const { identity, memory, thread } = this.#require();
    const { handle } = await thread;
    return saveModule({ ...identity, stackMib: handle.stackMib }, memory.buffer.byteLength / WASM_PAGE);
  }

  async #saveCpu(): Promise<WasmCpuState> {
    const guest = this.#require();
    const { cpu } = await this.#captured("late");
    const { program } = await guest.thread;
    return saveCpu({ ...guest, program }, cpu);
  }

  async #loadCpu(state: WasmCpuState): Promise<void> {
    const guest = this.#require();
    // The rehearsal writes to the same places.
    await this.#rehearsed;
    const { program } = await guest.thread;
    loadCpu({ ...guest, program }, state);
    this.#cpu = state;
  }

  /**
   * Loads late devices in vain, as they may come: what runs for the first time takes ten times as long, and the guest
   * would stand still meanwhile. What fails in it fails again when it counts, or is of no matter.
   */
  async #rehearse(wasi: WasiState): Promise<void> {
    const guest = this.#require();
    const { handle, program } = await guest.thread;
    await handle.rehearse(wasi, this.#directories);
    loadCpu({ ...guest, program }, emptyCpu({ ...guest, program }));
  }

  async #restore(wasi: WasiState): Promise<void> {
    if (this.#cpu === undefined)
      throw new MigrationError("DEVICE_STATE", "The processor state has to come before this");
    const { handle } = await this.#require().thread;
    const cpu = {
      globals: this.#cpu.globals,
      tables: this.#cpu.tables.map(({ entries }) => Int32Array.from(entries)),
    };
    await handle.restore(cpu, wasi, this.#directories);
    this.#cpu = undefined;
  }
}
