import { DeviceRegistry, PAGE_SIZE } from "@peregrine/shared-state";
import type {
  CarriedClosing,
  CarriedMachine,
  CarriedOpening,
  GuestExit,
  Machine,
  RamAccess,
  RamBlock,
} from "@peregrine/shared-state";
import { newTestRam, TestRam } from "@peregrine/shared-state/testing";
import type { TestRamData } from "@peregrine/shared-state/testing";
import type { CarriedRamData } from "./carried-ram.ts";

export interface CarriedParts {
  readonly opening: CarriedOpening;
  readonly closing: CarriedClosing;
  readonly blocks: readonly RamBlock[];
  /** By block. */
  readonly memory: readonly Uint8Array[];
}

/** A small machine that is passed on as it came. */
export class CarriedTestMachine implements Machine {
  readonly type = "carried-test";
  readonly devices = new DeviceRegistry();
  readonly exited = Promise.withResolvers<GuestExit>().promise;
  readonly carried: CarriedMachine;
  /** Stores are logged once a migration has begun. */
  readonly memory: TestRam;
  readonly #data: TestRamData;
  readonly #arrived = new Int32Array(new SharedArrayBuffer(4));
  readonly #sent = new Int32Array(new SharedArrayBuffer(4));
  stops = 0;

  /** What of it is in `memory` is there; {@link arrive} says that this was all. */
  constructor({ opening, closing, blocks, memory }: CarriedParts) {
    this.#data = newTestRam(blocks);
    this.memory = new TestRam(this.#data);
    for (const [block, { length }] of blocks.entries()) {
      this.memory.use(block, length / PAGE_SIZE);
      this.memory.writePages(block, 0, memory[block]!);
    }
    this.carried = {
      arrived: this.#arrived.buffer,
      opening: () => opening,
      closing: () => closing,
    };
  }

  get pagesSent(): number {
    return Atomics.load(this.#sent, 0);
  }

  arrive(): void {
    Atomics.store(this.#arrived, 0, 1);
    Atomics.notify(this.#arrived, 0);
  }

  ram(): RamAccess {
    const data: CarriedRamData = { ram: this.#data, sent: this.#sent.buffer };
    return { module: new URL("./carried-ram.ts", import.meta.url).href, data };
  }

  async prepared(): Promise<void> {}
  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.stops++;
  }

  /** Marks every page: all of them have contents. */
  async startDirtyLog(): Promise<void> {
    this.memory.setLogging(true);
    for (const [block, { length }] of this.memory.blocks.entries()) {
      for (let at = 0; at < length; at += PAGE_SIZE)
        this.memory.store(block, at, this.memory.load(block, at));
    }
  }

  async stopDirtyLog(): Promise<void> {}
  async dispose(): Promise<void> {}
}
