import { MigrationError } from "@peregrine/protocol";
import { defineState, DeviceRegistry, PAGE_SIZE } from "@peregrine/shared-state";
import type { GuestExit, Machine, RamAccess, StateOf } from "@peregrine/shared-state";
import { clockRamAccess, newClockMemory, PAGES } from "./clock-ram.ts";

/** The state that travels beside memory. The declaration encodes it, decodes it, and describes it in the stream. */
const description = defineState({
  name: "clock",
  version: 1,
  fields: [{ name: "ticks", type: "uint64" }],
});

/** Every page but the last one is written to. */
const HANDS = PAGES - 1;

/**
 * A machine whose guest is a clock: at each tick it counts in the next page, round and round. So the pages tell how
 * often it has ticked, and a page that is lost or comes from another moment shows.
 */
export class ClockMachine implements Machine {
  readonly type = "clock-1";
  readonly devices = new DeviceRegistry();
  readonly #exit = Promise.withResolvers<GuestExit>();
  readonly #memory = newClockMemory();
  readonly #counts = new Uint32Array(this.#memory.guest);
  #ticks = 0;
  #timer: NodeJS.Timeout | undefined;
  #isDisposed = false;

  constructor() {
    this.devices.register({
      description,
      instance: 0,
      // It is sent after the last page. An early device is sent before the first one.
      early: false,
      save: () => ({ ticks: BigInt(this.#ticks) }),
      load: (state: StateOf<typeof description>) => {
        if (state.ticks > BigInt(Number.MAX_SAFE_INTEGER)) {
          throw new MigrationError("DEVICE_STATE", "The clock has ticked more often than can be counted");
        }
        this.#ticks = Number(state.ticks);
      },
    });
  }

  get exited(): Promise<GuestExit> {
    return this.#exit.promise;
  }

  get ticks(): number {
    return this.#ticks;
  }

  ram(): RamAccess {
    return clockRamAccess(this.#memory);
  }

  async prepared(): Promise<void> {}

  async start(): Promise<void> {
    if (this.#isDisposed) throw new MigrationError("WRONG_STATE", "The clock has been ended");
    this.#timer ??= setInterval(() => {
      this.#tick();
    }, 1);
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  // Pages are compared; there is nothing to switch.
  async startDirtyLog(): Promise<void> {}
  async stopDirtyLog(): Promise<void> {}

  async dispose(): Promise<void> {
    await this.stop();
    this.#isDisposed = true;
  }

  /** Errors: when memory is not that of a clock that has ticked so often. */
  verify(): void {
    for (let page = 0; page < HANDS; page++) {
      const expected = Math.floor(this.#ticks / HANDS) + (page < this.#ticks % HANDS ? 1 : 0);
      const found = this.#counts[(page * PAGE_SIZE) / 4];
      if (found !== expected) throw new Error(`page ${page} counts ${found} instead of ${expected}`);
    }
  }

  #tick(): void {
    const at = ((this.#ticks++ % HANDS) * PAGE_SIZE) / 4;
    this.#counts[at] = this.#counts[at]! + 1;
  }
}
