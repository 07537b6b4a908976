import { MigrationError } from "@peregrine/protocol";
import { DeviceRegistry } from "@peregrine/shared-state";
import type {
  CarriedClosing,
  CarriedMachine,
  CarriedOpening,
  GuestExit,
  Machine,
  MachineIntake,
  RamAccess,
} from "@peregrine/shared-state";
import { Backlog } from "./backlog.ts";
import { accessTo } from "./image-memory.ts";
import { ImageRam } from "./image-ram.ts";
import type { ImageRamData } from "./image-ram.ts";
import { runStateOf, summarize } from "./image-summary.ts";
import type { Arrived, ImageSummary } from "./image-summary.ts";

interface ImageMachineOptions {
  /** 16 bytes: the virtual machine's UUID. Default: what the stream tells of it. */
  readonly uuid?: Uint8Array | undefined;
}

interface Opened {
  readonly opening: CarriedOpening;
  readonly ram: ImageRam;
  readonly access: RamAccess;
}

type Phase =
  | { readonly kind: "empty" }
  | ({ readonly kind: "arriving" } & Opened)
  | ({ readonly kind: "arrived" } & Opened & Arrived)
  | { readonly kind: "disposed" };

/**
 * A virtual machine that came in a stream of QEMU and is held as it is: memory, and devices as bytes that are not
 * understood. It does not run here. It can be sent on, also while it still arrives.
 */
export class ImageMachine implements Machine {
  readonly devices = new DeviceRegistry();
  /** Never settled: nothing runs that could end. */
  readonly exited = Promise.withResolvers<GuestExit>().promise;
  readonly carried: CarriedMachine;
  readonly intake: MachineIntake;
  readonly #uuid: Uint8Array | undefined;
  readonly #backlog: Backlog;
  readonly #arrived = new Int32Array(new SharedArrayBuffer(4));
  #phase: Phase = { kind: "empty" };

  constructor({ uuid }: ImageMachineOptions = {}) {
    const backlog = Backlog.newBuffer();
    this.#uuid = uuid;
    this.#backlog = new Backlog(backlog);
    this.carried = {
      arrived: this.#arrived.buffer,
      opening: () => this.#opened().opening,
      closing: () => this.#closing(),
    };
    this.intake = {
      memory: accessTo({ backlog, blocks: [] }),
      opened: (opening, ram) => this.#open(opening, ram),
      closed: (closing) => this.#close(closing),
    };
  }

  /** The machine type. Streams of machine types up to 2.3 do not name it. */
  get type(): string {
    const opened = this.#present;
    if (opened === undefined) return "unknown";
    return opened.opening.configuration?.machineType ?? "unknown, up to 2.3";
  }

  /** Undefined while nothing has arrived. */
  get program(): string | undefined {
    return this.#present === undefined ? undefined : "QEMU virtual machine";
  }

  /** Bytes of all RAM blocks. */
  get memoryBytes(): number {
    return this.#present?.ram.blocks.reduce((sum, { length }) => sum + length, 0) ?? 0;
  }

  /** What is known of it; undefined until its list of RAM blocks has arrived. Counts pages: not for each frame. */
  get summary(): ImageSummary | undefined {
    const opened = this.#present;
    const arrived = this.#phase.kind === "arrived" ? this.#phase : undefined;
    return opened && summarize(opened.opening, opened.ram, arrived);
  }

  /**
   * Keeps who writes what arrives from being ahead of who sends it on by more than so many pages. 0, as it is at
   * first: no limit. Takes effect at once. Errors: BAD_PARAMETER.
   */
  setBacklogLimit(pages: number): void {
    this.#backlog.setLimit(pages);
  }

  ram(): RamAccess {
    return this.#opened().access;
  }

  prepared(): Promise<void> {
    return Promise.resolve();
  }

  /** Errors: WRONG_STATE, always. */
  start(): Promise<void> {
    const text = "An image of a virtual machine does not run here: migrate it to a QEMU";
    return Promise.reject(new MigrationError("WRONG_STATE", text));
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** What arrives is always logged. A migration sends all of the image, whatever earlier ones took from the log. */
  async startDirtyLog(): Promise<void> {
    this.#opened().ram.restartLog();
  }

  stopDirtyLog(): Promise<void> {
    return Promise.resolve();
  }

  async dispose(): Promise<void> {
    this.#phase = { kind: "disposed" };
    this.#backlog.setLimit(0);
  }

  #open(opening: CarriedOpening, access: RamAccess): void {
    if (this.#phase.kind !== "empty") throw outOfTurn("opened");
    const ram = new ImageRam(access.data as ImageRamData);
    const uuid = this.#uuid ?? opening.uuid;
    this.#phase = { kind: "arriving", opening: { ...opening, uuid }, ram, access };
  }

  /** Errors: BAD_SECTION when the run state in it cannot be read. */
  #close(closing: CarriedClosing): void {
    if (this.#phase.kind !== "arriving") throw outOfTurn("closed");
    this.#phase = { ...this.#phase, kind: "arrived", closing, runState: runStateOf(closing) };
    Atomics.store(this.#arrived, 0, 1);
    Atomics.notify(this.#arrived, 0);
  }

  get #present(): Opened | undefined {
    const phase = this.#phase;
    return phase.kind === "arriving" || phase.kind === "arrived" ? phase : undefined;
  }

  #opened(): Opened {
    const opened = this.#present;
    if (opened === undefined) throw notHere(this.#phase.kind === "disposed" ? "any more" : "yet");
    return opened;
  }

  #closing(): CarriedClosing {
    if (this.#phase.kind !== "arrived") throw notHere(this.#phase.kind === "disposed" ? "any more" : "yet");
    return this.#phase.closing;
  }
}

function notHere(when: string): MigrationError {
  return new MigrationError("WRONG_STATE", `The virtual machine is not here ${when}`);
}

function outOfTurn(call: string): MigrationError {
  return new MigrationError("INTERNAL", `an image was told '${call}' out of turn`);
}
