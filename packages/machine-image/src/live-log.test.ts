import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import type { RamAccess } from "@peregrine/shared-state";
import { afterEach, describe, expect, it } from "vitest";
import { ASKED, DONE, WAITS } from "../test/incoming-thread.ts";
import type { WriterTask } from "../test/incoming-thread.ts";
import { Backlog } from "./backlog.ts";
import { ImageMachine } from "./image-machine.ts";
import { ImageRam } from "./image-ram.ts";
import type { ImageRamData } from "./image-ram.ts";

/** Few pages, so that the threads meet on the same ones all the time. */
const BLOCKS = [
  { name: "pc.ram", length: 40 * PAGE_SIZE },
  { name: "pc.rom", length: 9 * PAGE_SIZE },
];
const PAGES = 6;
const MAX_SENT_AT_ONCE = 4;

interface Arriving {
  readonly writer: Writer;
  readonly ram: ImageRam;
  readonly backlog: Backlog;
}

/** The thread that an image arrives in. */
class Writer {
  readonly worker: Worker;
  readonly #rounds = new Int32Array(new SharedArrayBuffer(12));
  #asked = 0;

  constructor(machine: ImageMachine, writes: number) {
    const { memory } = machine.intake;
    const workerData: WriterTask = { memory, blocks: BLOCKS, writes, pages: PAGES, rounds: this.#rounds };
    this.worker = new Worker(new URL("../test/incoming-thread.ts", import.meta.url), { workerData });
  }

  /** Has it write once more. */
  ask(): void {
    this.#asked++;
    Atomics.store(this.#rounds, ASKED, this.#asked);
    Atomics.notify(this.#rounds, ASKED);
  }

  get idle(): boolean {
    return Atomics.load(this.#rounds, DONE) === this.#asked;
  }

  /** How often there was no room. */
  get waits(): number {
    return Atomics.load(this.#rounds, WAITS);
  }
}

/** Sends pages of an image into memory of its own, as a migration thread does. */
class Sender {
  readonly #ram: ImageRam;
  readonly #dirty = BLOCKS.map(({ length }) => new DirtyBitmap(length / PAGE_SIZE));
  readonly #copies = BLOCKS.map(({ length }) => new Uint8Array(length));

  constructor(ram: ImageRam) {
    this.#ram = ram;
  }

  harvest(): void {
    this.#ram.harvest(this.#dirty);
  }

  /** Sends some pages of each block. @returns whether there were any. */
  send(): boolean {
    let sent = 0;
    for (const [block, bitmap] of this.#dirty.entries()) {
      const count = bitmap.takeRun(0, MAX_SENT_AT_ONCE);
      const page = bitmap.runStart;
      if (count > 0) this.#ram.readPages(block, page, count, this.#copies[block]!, page * PAGE_SIZE);
      sent += count;
    }
    this.#ram.sent(sent);
    return sent > 0;
  }

  /** Sends what is left, and compares. */
  finish(): void {
    this.harvest();
    while (this.send());
    for (const [block, copy] of this.#copies.entries()) {
      const bytes = new Uint8Array(copy.length);
      this.#ram.readPages(block, 0, copy.length / PAGE_SIZE, bytes, 0);
      if (Buffer.compare(bytes, copy) !== 0) throw new Error(`a write to block ${block} was lost`);
    }
  }
}

describe("an image that arrives in one thread and is sent on in another", () => {
  const writers: Writer[] = [];

  afterEach(async () => {
    for (const { worker } of writers.splice(0)) await worker.terminate();
  });

  /** A thread that writes so often in a round, and the memory that it has made. */
  async function arriving(machine: ImageMachine, writes: number): Promise<Arriving> {
    const writer = new Writer(machine, writes);
    writers.push(writer);
    const [access] = (await once(writer.worker, "message")) as [RamAccess];
    machine.intake.opened({ configuration: undefined, footers: false, early: [], uuid: undefined }, access);
    const data = access.data as ImageRamData;
    return { writer, ram: new ImageRam(data), backlog: new Backlog(data.backlog) };
  }

  // Rounds are short, as a write that was lost is found only if its page is not written again.
  it("loses no write", async () => {
    const machine = new ImageMachine();
    const { writer, ram, backlog } = await arriving(machine, 3);
    const sender = new Sender(ram);
    await machine.startDirtyLog();
    for (let round = 0; round < 3000; round++) {
      writer.ask();
      while (!writer.idle) {
        sender.harvest();
        sender.send();
      }
      sender.finish();
      if (backlog.pages !== 0) throw new Error(`${backlog.pages} pages are left over`);
    }
    expect(writer.idle).toBe(true);
  });

  it("is kept from being ahead of the sender by more than its limit", async () => {
    const limit = 20;
    const machine = new ImageMachine();
    machine.setBacklogLimit(limit);
    const { writer, ram, backlog } = await arriving(machine, 5000);
    const sender = new Sender(ram);
    let most = 0;
    await machine.startDirtyLog();
    writer.ask();
    while (!writer.idle) {
      sender.harvest();
      most = Math.max(most, backlog.pages);
      sender.send();
      await setImmediate();
    }
    sender.finish();
    expect(backlog.pages).toBe(0);
    expect(writer.waits).toBeGreaterThan(100);
    expect(most).toBeGreaterThan((limit * 3) / 4);
    // One write begins when there is room. Its marks are counted before those are found that were there already.
    expect(most).toBeLessThanOrEqual(limit + PAGES + 1);
  });

  it("is sent whole by each migration that begins while it arrives", async () => {
    const machine = new ImageMachine();
    const { writer, ram, backlog } = await arriving(machine, 50);
    for (let round = 0; round < 300; round++) {
      await machine.startDirtyLog();
      const given = new Sender(ram);
      writer.ask();
      given.harvest();
      given.send();
      await machine.stopDirtyLog();
      await machine.startDirtyLog();
      const sender = new Sender(ram);
      while (!writer.idle) {
        sender.harvest();
        sender.send();
      }
      sender.finish();
      if (backlog.pages !== 0) throw new Error(`${backlog.pages} pages are left over`);
      await machine.stopDirtyLog();
    }
    expect(writer.idle).toBe(true);
  });
});
