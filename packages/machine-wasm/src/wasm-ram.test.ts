import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { runBytes, TypeScriptPageKernel, WasmPageKernel, workMemoryBytes } from "@peregrine/protocol";
import type { PageKernel } from "@peregrine/protocol";
import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { controlMemory } from "../test/fake-thread.ts";
import { ArrivedPages } from "./arrived-pages.ts";
import { TypeScriptDirtyLog } from "./dirty-log.ts";
import { CONTROL } from "./rewrite/control-layout.ts";
import { openDirtyLog } from "./wasm-dirty-log.ts";
import { newWasmRamShared, WasmRam } from "./wasm-ram.ts";

const WASM_PAGE = 65536;
const MOST_WASM_PAGES = 4;
const MOST_BYTES = MOST_WASM_PAGES * WASM_PAGE;
const MOST_PAGES = (MOST_WASM_PAGES * WASM_PAGE) / PAGE_SIZE;

type OpenLog = typeof openDirtyLog;

interface TestMemory {
  readonly memory: WebAssembly.Memory;
  readonly control: WebAssembly.Memory;
  readonly ram: WasmRam;
  /** As another thread opens it, that copies pages for the one that harvests. */
  readonly reader: WasmRam;
}

function newRam(openLog: OpenLog, initial = 1): TestMemory {
  const memory = new WebAssembly.Memory({ initial, maximum: MOST_WASM_PAGES, shared: true });
  const control = controlMemory();
  const data = { memory, control, maximumBytes: MOST_BYTES, ...newWasmRamShared(MOST_BYTES) };
  return { memory, control, ram: new WasmRam(data, openLog), reader: new WasmRam(data, openLog) };
}

/** What the tracked variant does: the store, and then the mark of the page that it begins in. */
function store(memory: WebAssembly.Memory, control: WebAssembly.Memory, at: number, bytes: Uint8Array): void {
  new Uint8Array(memory.buffer).set(bytes, at);
  new Uint8Array(control.buffer)[CONTROL.dirtyMap + (at >>> 12)] = 1;
}

/** A destination: the pages that were sent. */
class Copy {
  readonly bytes: Uint8Array;
  readonly #ram: WasmRam;
  readonly #read: ReadPage;
  readonly #bitmap = new DirtyBitmap(MOST_PAGES);

  constructor(ram: WasmRam, { target, read }: Way, reader: WasmRam = ram) {
    this.bytes = target();
    this.#ram = ram;
    this.#read = read(reader);
    this.#bitmap.setAll(ram.usedBytes() / PAGE_SIZE);
  }

  harvest(): number {
    return this.#ram.harvest([this.#bitmap]);
  }

  /** Sends at most so many pages. */
  send(most = MOST_PAGES): void {
    for (let sent = 0; sent < most; sent++) {
      if (this.#bitmap.takeRun(0, 1) === 0) return;
      const page = this.#bitmap.runStart;
      this.#read(page, this.bytes);
    }
  }
}

const used = ({ buffer }: WebAssembly.Memory): Uint8Array => new Uint8Array(buffer);

const kernel = new WasmPageKernel(workMemoryBytes([MOST_BYTES]));
const place = kernel.take(MOST_BYTES);

const anywhere = (): Uint8Array => new Uint8Array(MOST_BYTES);
const inWorkMemory = (): Uint8Array => kernel.bytes.subarray(place, place + MOST_BYTES).fill(0);
const copied: Way["read"] = (ram) => (page, bytes) => ram.readPages(0, page, 1, bytes, page * PAGE_SIZE);

/** Makes a record of the page where it is, as migration does, and takes the page out of that. */
function recordedBy(open: (bytes: number) => PageKernel): Way["read"] {
  return (ram) => {
    const records = open(workMemoryBytes([runBytes(1)]));
    const out = records.take(runBytes(1));
    const inPlace = ram.inPlace();
    const pages = records.openGuest(inPlace.memory, inPlace.heads);
    return (page, bytes) => {
      inPlace.reading(page, 1);
      const end = pages.encodeRun(page * PAGE_SIZE, 1, 0, false, out);
      if (records.isZero(0)) bytes.fill(0, page * PAGE_SIZE, (page + 1) * PAGE_SIZE);
      else bytes.set(records.bytes.subarray(end - PAGE_SIZE, end), page * PAGE_SIZE);
    };
  };
}

type ReadPage = (page: number, bytes: Uint8Array) => void;

/** Where pages are copied to, and how. */
interface Way {
  readonly target: () => Uint8Array;
  readonly read: (ram: WasmRam) => ReadPage;
}

const inTypeScript: OpenLog = (memories) => new TypeScriptDirtyLog(memories);

/** The dirty logs, and how their pages are read. */
const LOGS: readonly (readonly [name: string, open: OpenLog, way: Way])[] = [
  ["in typescript", inTypeScript, { target: anywhere, read: copied }],
  ["by the kernel", openDirtyLog, { target: anywhere, read: copied }],
  ["by the kernel and copied by one", openDirtyLog, { target: inWorkMemory, read: copied }],
  [
    "by the kernel and recorded in place by one",
    openDirtyLog,
    { target: anywhere, read: recordedBy((bytes) => new WasmPageKernel(bytes)) },
  ],
  [
    "in typescript and recorded in place by it",
    inTypeScript,
    { target: anywhere, read: recordedBy((bytes) => new TypeScriptPageKernel(bytes)) },
  ],
];

it("has the dirty log by the kernel where engines can run it, as this one can", () => {
  const { memory, control } = newRam(openDirtyLog);
  const { shadows } = newWasmRamShared(MOST_BYTES);
  expect(openDirtyLog({ memory, control, shadows })).not.toBeInstanceOf(TypeScriptDirtyLog);
});

describe.each(LOGS)("the guest's memory as a RAM block, with the dirty log %s", (_name, openLog, way) => {
  it("ends up at the destination as it is, whatever is stored, grown, harvested and sent in between", () => {
    const step = fc.oneof(
      fc.record({
        kind: fc.constant("store" as const),
        at: fc.nat(MOST_WASM_PAGES * WASM_PAGE - 16),
        // Stores near the page boundaries are the ones that can be lost.
        near: fc.boolean(),
        bytes: fc.uint8Array({ minLength: 1, maxLength: 16 }),
      }),
      fc.record({ kind: fc.constant("grow" as const) }),
      fc.record({ kind: fc.constant("harvest" as const) }),
      fc.record({ kind: fc.constant("send" as const), pages: fc.integer({ min: 1, max: 20 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.boolean(), (steps, inOtherThread) => {
        const { memory, control, ram, reader } = newRam(openLog);
        const copy = new Copy(ram, way, inOtherThread ? reader : ram);
        for (const action of steps) {
          if (action.kind === "grow") {
            if (ram.usedBytes() < MOST_WASM_PAGES * WASM_PAGE) memory.grow(1);
          } else if (action.kind === "harvest") copy.harvest();
          else if (action.kind === "send") copy.send(action.pages);
          else {
            const boundary = ((action.at >>> 12) << 12) + PAGE_SIZE - (action.at & 15);
            const at = Math.min(
              action.near ? boundary : action.at,
              memory.buffer.byteLength - action.bytes.length,
            );
            store(memory, control, at, action.bytes);
          }
        }
        copy.harvest();
        copy.send();
        const { length } = used(memory);
        expect(Buffer.compare(copy.bytes.subarray(0, length), used(memory))).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  it("loses no mark of a thread that writes all the time", async () => {
    const { memory, control, ram } = newRam(openLog);
    const go = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL("../test/storing-thread.ts", import.meta.url), {
      workerData: { memory, control, go, most: MOST_WASM_PAGES },
    });
    const ended = once(worker, "exit");
    await once(worker, "online");
    const copy = new Copy(ram, way);
    copy.send();
    Atomics.store(go, 0, 1);
    // However slow one of the two threads is, the other one has been at work meanwhile.
    const isGrown = (): boolean => memory.buffer.byteLength === MOST_BYTES;
    const end = performance.now() + 500;
    for (let harvests = 0; harvests < 20 || !isGrown() || performance.now() < end; harvests++) {
      copy.harvest();
      copy.send(5);
    }
    Atomics.store(go, 0, 2);
    await ended;
    copy.harvest();
    copy.send();
    const differing = used(memory).findIndex((byte, at) => byte !== copy.bytes[at]);
    expect(differing).toBe(-1);
  }, 20_000);

  it("finds a store into memory that the harvest which took its mark did not know of", () => {
    const { memory, control } = newRam(openLog);
    const before = memory.buffer;
    let isBehind = true;
    // Another thread's memory keeps its size until that thread is told of the growth.
    const buffer = Object.getOwnPropertyDescriptor(WebAssembly.Memory.prototype, "buffer")!;
    Object.defineProperty(memory, "buffer", {
      get: () => (isBehind ? before : (buffer.get!.call(memory) as ArrayBufferLike)),
    });
    const data = { memory, control, maximumBytes: MOST_BYTES, ...newWasmRamShared(MOST_BYTES) };
    const ram = new WasmRam(data, openLog);
    const copy = new Copy(ram, way);
    copy.send();
    memory.grow(1);
    isBehind = false;
    store(memory, control, WASM_PAGE - 4, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8));
    isBehind = true;
    expect(copy.harvest()).toBe(1);
    copy.send();
    isBehind = false;
    expect(copy.harvest()).toBe(1);
    copy.send();
    expect([...copy.bytes.subarray(WASM_PAGE - 4, WASM_PAGE + 5)]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 0]);
    expect(copy.harvest()).toBe(0);
  });

  it("copies nothing beyond the target or the memory", () => {
    const { ram } = newRam(openLog);
    const bytes = way.target();
    expect(() => ram.readPages(0, 0, 2, bytes, MOST_BYTES - PAGE_SIZE)).toThrow(RangeError);
    expect(() => ram.readPages(0, 0, 2, bytes.subarray(0, PAGE_SIZE), 0)).toThrow(RangeError);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });

  it("grows once when several threads get pages for the same place", async () => {
    const { memory, control } = newRam(openLog);
    const data = { memory, control, maximumBytes: MOST_BYTES, ...newWasmRamShared(MOST_BYTES) };
    const go = new Int32Array(new SharedArrayBuffer(4));
    const workers = [0, 1, 2].map(
      () => new Worker(new URL("../test/growing-thread.ts", import.meta.url), { workerData: { data, go } }),
    );
    const ended = Promise.all(workers.map((worker) => once(worker, "exit")));
    // All of them spin before any of them goes on.
    while (Atomics.load(go, 0) < workers.length) await new Promise((resolve) => setImmediate(resolve));
    Atomics.store(go, 0, -1);
    await ended;
    expect(memory.grow(0)).toBe(2);
    expect(used(memory).at(WASM_PAGE)).toBe(7);
  });

  it("lets pages be written in place, after it has grown for them", () => {
    const { memory, ram } = newRam(openLog);
    const inPlace = ram.inPlace();
    inPlace.writing(2 * WASM_PAGE - PAGE_SIZE, 2);
    expect(memory.buffer.byteLength).toBe(3 * WASM_PAGE);
    for (const offset of [-PAGE_SIZE, MOST_BYTES - PAGE_SIZE, Number.NaN])
      expect(() => inPlace.writing(offset, 2)).toThrow(/Illegal RAM offset/);
    expect(memory.buffer.byteLength).toBe(3 * WASM_PAGE);
  });

  it("clears pages, and knows which ones have never been written to", () => {
    const { memory, control } = newRam(openLog, MOST_WASM_PAGES);
    const arrived = ArrivedPages.allocate(MOST_BYTES);
    const data = { memory, control, maximumBytes: MOST_BYTES, ...newWasmRamShared(MOST_BYTES), arrived };
    const ram = new WasmRam(data, openLog);
    ram.fillPages(0, 3 * PAGE_SIZE, 2, 7);
    ram.inPlace().writing(40 * PAGE_SIZE, 1);
    used(memory).fill(9, 40 * PAGE_SIZE, 41 * PAGE_SIZE);
    // Nobody said that this one is written to: nothing that arrives writes it, so it is not looked at.
    used(memory)[50 * PAGE_SIZE] = 5;
    ram.fillPages(0, 0, MOST_PAGES, 0);
    expect(used(memory).findIndex((byte) => byte !== 0)).toBe(50 * PAGE_SIZE);
  });

  it("tells how many pages have never been written to, as far as there is memory", () => {
    const memory = new WebAssembly.Memory({ initial: 2, maximum: MOST_WASM_PAGES, shared: true });
    const arrived = ArrivedPages.allocate(MOST_BYTES);
    const shared = { control: controlMemory(), maximumBytes: MOST_BYTES, ...newWasmRamShared(MOST_BYTES) };
    const inPlace = new WasmRam({ memory, ...shared, arrived }, openLog).inPlace();
    const unwritten = (page: number, count: number): number | undefined =>
      inPlace.unwritten?.(page * PAGE_SIZE, count);
    expect([unwritten(0, 5), unwritten(0, 100), unwritten(31, 2), unwritten(32, 1)]).toEqual([5, 32, 1, 0]);
    inPlace.writing(7 * PAGE_SIZE, 2);
    expect([unwritten(0, 32), unwritten(7, 1), unwritten(8, 9), unwritten(9, 9)]).toEqual([7, 0, 0, 9]);
    memory.grow(1);
    expect(unwritten(9, 100)).toBe(39);
    // Nobody keeps account of it.
    expect(new WasmRam({ memory, ...shared }, openLog).inPlace().unwritten?.(0, 5)).toBe(0);
  });

  it("grows for pages that arrive, and not for empty ones", () => {
    const { memory, ram } = newRam(openLog);
    ram.fillPages(0, 2 * WASM_PAGE, 1, 0);
    expect(memory.buffer.byteLength).toBe(WASM_PAGE);
    ram.fillPages(0, 2 * WASM_PAGE, 1, 9);
    expect(memory.buffer.byteLength).toBe(3 * WASM_PAGE);
    ram.writePages(0, MOST_WASM_PAGES * WASM_PAGE - PAGE_SIZE, new Uint8Array(PAGE_SIZE).fill(8));
    expect([used(memory)[2 * WASM_PAGE], used(memory).at(-1)]).toEqual([9, 8]);
    const pages = way.target().subarray(8, 8 + 3 * PAGE_SIZE);
    for (let n = 0; n < pages.length; n++) pages[n] = n * 7 + (n >> 8);
    ram.writePages(0, PAGE_SIZE, pages);
    expect(Buffer.compare(used(memory).subarray(PAGE_SIZE, 4 * PAGE_SIZE), pages)).toBe(0);
    expect([used(memory)[PAGE_SIZE - 1], used(memory)[4 * PAGE_SIZE]]).toEqual([0, 0]);
    for (const offset of [-PAGE_SIZE, MOST_WASM_PAGES * WASM_PAGE - 1, 2 ** 40, Number.NaN])
      expect(() => ram.writePages(0, offset, new Uint8Array(PAGE_SIZE))).toThrow(/Illegal RAM offset/);
  });
});
