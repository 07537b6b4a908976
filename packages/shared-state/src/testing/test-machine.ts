import { MigrationError } from "@peregrine/protocol";
import { DeviceRegistry } from "../device-registry.ts";
import type { MachineDrives } from "../drive.ts";
import { PAGE_SIZE } from "../machine.ts";
import type { GuestExit, Machine, RamAccess } from "../machine.ts";
import { guestDevice, layoutDevice } from "./test-devices.ts";
import type { TestBlock, TestLayout } from "./test-devices.ts";
import { TestGuest } from "./test-guest.ts";
import { newTestRam, TestRam, testRamAccess } from "./test-ram.ts";
import type { TestRamData } from "./test-ram.ts";

/** Calls `tick` with the milliseconds that passed, again and again. @returns a function that ends it. */
export type Ticker = (tick: (elapsedMs: number) => void) => () => void;

/** A ticker on a timer: a guest that runs by itself in the caller's thread. */
export function intervalTicker(periodMs = 1): Ticker {
  return (tick) => {
    let last = performance.now();
    const timer = setInterval(() => {
      const now = performance.now();
      tick(now - last);
      last = now;
    }, periodMs);
    return () => {
      clearInterval(timer);
    };
  };
}

export interface TestMachineOptions {
  /** Default: `test.ram` with 512 pages, 256 of them in use, and `test.rom` with 16. */
  readonly blocks?: readonly TestBlock[];
  /** Pages at the beginning of the first block that the guest writes to. Default: 64. */
  readonly hotPages?: number;
  /** Bytes of pages that the guest dirties in a second while a ticker drives it. Default: 1 MiB. */
  readonly dirtyRate?: number;
  /** What makes a started guest run. Without one it runs only by {@link TestMachine.tick}. */
  readonly ticker?: Ticker;
  readonly drives?: MachineDrives;
}

const BLOCKS: readonly TestBlock[] = [
  { name: "test.ram", pages: 512, used: 256 },
  { name: "test.rom", pages: 16, used: 16 },
];
const HOT_PAGES = 64;
const DIRTY_RATE = 1024 * 1024;
/** A guest that its thread kept from running does not catch up on more than this. */
const MAX_TICK_MS = 100;

/** A small real machine: its guest is a {@link TestGuest}, run in the thread of whoever made it. */
export class TestMachine implements Machine {
  readonly type = "test-1";
  readonly devices = new DeviceRegistry();
  readonly drives?: MachineDrives;
  readonly exited: Promise<GuestExit>;
  /** Bytes of pages that the guest dirties in a second while a ticker drives it. Travels with the guest. */
  dirtyRate: number;
  /** Percentage of time that the guest is kept from running. */
  throttle = 0;
  readonly #ticker: Ticker | undefined;
  readonly #exit = Promise.withResolvers<GuestExit>();
  readonly #memoryReady = Promise.withResolvers<void>();
  #layout: TestLayout | undefined;
  #memory: TestRamData | undefined;
  #guest: TestGuest | undefined;
  #running = false;
  #ended = false;
  #stopTicker: (() => void) | undefined;
  /** Pages that are due, with the fraction left over from the last tick. */
  #due = 0;

  private constructor(options: TestMachineOptions) {
    this.exited = this.#exit.promise;
    if (options.drives !== undefined) this.drives = options.drives;
    this.dirtyRate = options.dirtyRate ?? DIRTY_RATE;
    this.#ticker = options.ticker;
    this.devices.register(
      layoutDevice(
        () => this.#present(this.#layout),
        (layout) => {
          this.#arrive(layout);
        },
      ),
    );
    this.devices.register(guestDevice(this));
  }

  /** A machine with a guest, ready to be started. */
  static source(options: TestMachineOptions = {}): TestMachine {
    const machine = new TestMachine(options);
    machine.#lay({ blocks: options.blocks ?? BLOCKS, hotPages: options.hotPages ?? HOT_PAGES });
    machine.guest.stampAll();
    return machine;
  }

  /** A machine that waits for a guest: it has no memory until the early device is loaded. */
  static destination(options: Pick<TestMachineOptions, "ticker" | "drives"> = {}): TestMachine {
    return new TestMachine(options);
  }

  /** Errors: WRONG_STATE on a destination where no guest arrived yet. */
  get guest(): TestGuest {
    return this.#present(this.#guest);
  }

  get running(): boolean {
    return this.#running;
  }

  ram(): RamAccess {
    return testRamAccess(this.#present(this.#memory));
  }

  prepared(): Promise<void> {
    return this.#memoryReady.promise;
  }

  async start(): Promise<void> {
    if (this.#ended) throw new MigrationError("WRONG_STATE", "The guest program has ended");
    this.#present(this.#guest);
    if (this.#running) return;
    this.#running = true;
    this.#stopTicker = this.#ticker?.((elapsedMs) => {
      this.#advance(elapsedMs);
    });
  }

  async stop(): Promise<void> {
    this.#halt();
  }

  async startDirtyLog(): Promise<void> {
    this.guest.ram.setLogging(true);
  }

  async stopDirtyLog(): Promise<void> {
    this.guest.ram.setLogging(false);
  }

  setThrottle(percentage: number): void {
    this.throttle = percentage;
  }

  async dispose(): Promise<void> {
    this.#ended = true;
    this.#halt();
  }

  /** Lets the guest write to `pages` pages, if it runs. */
  tick(pages: number): void {
    if (this.#running) this.guest.step(pages);
  }

  /** Lets the guest take `pages` more pages of its first block into use. Errors: BAD_RAM_PAGE. */
  grow(pages: number): void {
    const { ram } = this.guest;
    ram.use(0, ram.usedPages(0) + pages);
  }

  /** Ends the guest program, as if by itself. */
  finish(exit: GuestExit = { kind: "exit", status: 0 }): void {
    this.#ended = true;
    this.#halt();
    this.#exit.resolve(exit);
  }

  /** Checks all of guest memory; see {@link TestGuest.verify}. Errors: INTERNAL, naming the page. */
  verify(): void {
    this.guest.verify(this.#present(this.#layout).blocks.map((block) => block.used));
  }

  #advance(elapsedMs: number): void {
    const pagesPerMs = (this.dirtyRate / PAGE_SIZE / 1000) * (1 - this.throttle / 100);
    this.#due += Math.min(elapsedMs, MAX_TICK_MS) * pagesPerMs;
    const pages = Math.floor(this.#due);
    this.#due -= pages;
    this.tick(pages);
  }

  #halt(): void {
    this.#running = false;
    this.#stopTicker?.();
    this.#stopTicker = undefined;
  }

  #arrive(layout: TestLayout): void {
    if (this.#guest !== undefined) throw new MigrationError("DEVICE_STATE", "there is a guest here already");
    this.#lay(layout);
  }

  #lay(layout: TestLayout): void {
    const blocks = layout.blocks.map(({ name, pages }) => ({ name, length: pages * PAGE_SIZE }));
    const memory = newTestRam(blocks, true);
    const ram = new TestRam(memory);
    for (const [block, { used }] of layout.blocks.entries()) ram.use(block, used);
    this.#layout = layout;
    this.#memory = memory;
    this.#guest = new TestGuest(ram, layout.hotPages);
    this.#memoryReady.resolve();
  }

  #present<T>(part: T | undefined): T {
    if (part === undefined) throw new MigrationError("WRONG_STATE", "No guest has arrived here yet");
    return part;
  }
}
