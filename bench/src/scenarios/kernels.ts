import { CONTROL, newShadows, openDirtyLog, TypeScriptDirtyLog } from "@peregrine/machine-wasm";
import type { DirtyLog, LoggedMemory } from "@peregrine/machine-wasm";
import {
  applyDelta,
  DeltaPage,
  encodeDelta,
  runBytes,
  TypeScriptPageKernel,
  WasmPageKernel,
  workMemoryBytes,
} from "@peregrine/protocol";
import type { GuestPages, PageKernel } from "@peregrine/protocol";
import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import { Bench } from "tinybench";
import type { BenchContext, Row, Scenario, Target } from "../scenario.ts";
import { median } from "../statistics.ts";

const RUN = 64;
const RUN_BYTES = RUN * PAGE_SIZE;
/** Milliseconds for each of the two, each time. */
const WARM_UP_MS = 60;
const TIME_MS = 120;

/** A kernel and its twin, which do the same work in each call. */
interface Pair {
  readonly name: string;
  readonly what: string;
  readonly kernel: () => void;
  readonly twin: () => void;
  /** What a call does. */
  readonly work:
    | { readonly unit: "GB/s"; readonly bytes: number }
    | { readonly unit: "pages/ms"; readonly pages: number };
  readonly target?: Target;
  readonly ratioTarget?: Target;
  readonly note?: string;
}

interface Places {
  readonly kernel: PageKernel;
  readonly pages: number;
  readonly out: number;
  /** As many records as a run has pages, all of whole pages. */
  readonly records: Uint8Array;
}

function placesOf(open: (bytes: number) => PageKernel): Places {
  const kernel = open(workMemoryBytes([RUN_BYTES, runBytes(RUN)]));
  const pages = kernel.take(RUN_BYTES);
  const out = kernel.take(runBytes(RUN));
  fill(kernel.bytes.subarray(pages, pages + RUN_BYTES));
  const end = kernel.encodeRun(pages, RUN, 0, false, out);
  return { kernel, pages, out, records: kernel.bytes.slice(out, end) };
}

function fill(bytes: Uint8Array): void {
  for (let n = 0; n < bytes.length; n++) bytes[n] = (n * 7 + (n >> 8)) | 1;
}

/** Changes 12 bytes every 1111. */
function changeSparsely(page: Uint8Array): void {
  for (let at = 3; at < page.length; at += 1111)
    for (let n = at; n < Math.min(at + 12, page.length); n++) page[n] = page[n]! ^ 0x55;
}

/** @param run is given the places of either. */
function pagePair(name: string, what: string, run: (places: Places) => void): Pair {
  const [fast, plain] = [
    placesOf((bytes) => new WasmPageKernel(bytes)),
    placesOf((bytes) => new TypeScriptPageKernel(bytes)),
  ] as const;
  const work = { unit: "GB/s", bytes: RUN_BYTES } as const;
  return { name, what, kernel: () => run(fast), twin: () => run(plain), work };
}

/** The pages are zero from the first call on. */
function zeroPages({ kernel, pages }: Places): void {
  if (kernel.zeroPages(pages, RUN) === RUN) return;
  kernel.bytes.fill(0, pages, pages + RUN_BYTES);
}

function decodeRun({ kernel, out, records }: Places): void {
  // A run is decoded in place, so it has to come anew.
  kernel.bytes.set(records, out);
  if (kernel.countRun(out, out + records.length, 0, RUN) !== RUN) throw new Error("the run was not decoded");
  kernel.gatherRun(out, RUN);
}

function deltaPairs(): readonly Pair[] {
  const { kernel, pages, out } = placesOf((bytes) => new WasmPageKernel(bytes));
  const kept = kernel.openKeptPages(RUN);
  const old: DeltaPage[] = [];
  const next: DeltaPage[] = [];
  for (let n = 0; n < RUN; n++) {
    const page = kernel.bytes.subarray(pages + n * PAGE_SIZE, pages + (n + 1) * PAGE_SIZE);
    kept.keep(n, pages + n * PAGE_SIZE);
    old.push(new DeltaPage(page.slice()));
    changeSparsely(page);
    next.push(new DeltaPage(page.slice()));
  }
  const target = new Uint8Array(PAGE_SIZE);
  const delta = target.slice(0, encodeDelta(old[0]!, next[0]!, target));
  kernel.bytes.set(delta, out);
  const what = "12 bytes changed every 1111";
  const work = { unit: "GB/s", bytes: RUN_BYTES } as const;
  const target3 = { target: { atLeast: 3 }, ratioTarget: { atLeast: 10 } };
  return [
    {
      name: "xbzrle-encode",
      note: "the twin compares four bytes at a time; 8 KiB are read for each page",
      what: `deltas made, ${what}`,
      kernel: () => {
        for (let n = 0; n < RUN; n++)
          kept.encodeDelta(n, pages + n * PAGE_SIZE, out + PAGE_SIZE, PAGE_SIZE, false);
      },
      twin: () => {
        for (let n = 0; n < RUN; n++) encodeDelta(old[n]!, next[n]!, target);
      },
      work,
      ...target3,
    },
    {
      name: "xbzrle-decode",
      what: `deltas applied, ${what}`,
      kernel: () => {
        for (let n = 0; n < RUN; n++) kernel.applyDelta(out, delta.length, pages + n * PAGE_SIZE);
      },
      twin: () => {
        for (let n = 0; n < RUN; n++) applyDelta(delta, next[n]!.bytes);
      },
      work,
      ...target3,
    },
  ];
}

/** @param every one of so many pages is marked. */
function harvestPair(name: string, what: string, every: number): Pair {
  const { memory, control } = guestMemories(256);
  const logged = (): LoggedMemory => ({ memory, control, shadows: newShadows(memory.buffer.byteLength) });
  const bytes = new Uint8Array(memory.buffer);
  const pages = bytes.length / PAGE_SIZE;
  const marks = new Uint8Array(control.buffer, CONTROL.dirtyMap, pages);
  const bitmap = new DirtyBitmap(pages);
  const copy = new Uint8Array(PAGE_SIZE);
  const harvest = (log: DirtyLog): (() => void) => {
    for (let page = 0; page < pages; page++) log.read(bytes, page, 1, copy, 0);
    return () => {
      for (let page = 0; page < pages; page += every) marks[page] = 1;
      if (log.harvest(bytes, pages, bitmap) === 0) throw new Error("nothing was harvested");
      for (let run = bitmap.takeRun(0, pages); run > 0; run = bitmap.takeRun(bitmap.runStart + run, pages));
    };
  };
  return {
    name,
    what,
    kernel: harvest(openDirtyLog(logged())),
    twin: harvest(new TypeScriptDirtyLog(logged())),
    work: { unit: "pages/ms", pages },
    note: "with the marks made and the bits taken, which both have to do",
  };
}

/** Pages are copied between a guest's memory and one work memory, all of the former in turn. */
function copyPairs(): readonly Pair[] {
  const { memory, control } = guestMemories(64);
  const bytes = new Uint8Array(memory.buffer).fill(1);
  const kernel = new WasmPageKernel(workMemoryBytes([RUN_BYTES]));
  const place = kernel.take(RUN_BYTES);
  const pages = kernel.bytes.subarray(place, place + RUN_BYTES);
  const runs = bytes.length / RUN_BYTES;
  const work = { unit: "GB/s", bytes: RUN_BYTES } as const;
  const logged = (): LoggedMemory => ({ memory, control, shadows: newShadows(memory.buffer.byteLength) });
  const logs = [openDirtyLog(logged()), new TypeScriptDirtyLog(logged())] as const;
  const pair = (name: string, what: string, copy: (log: DirtyLog, page: number) => void): Pair => {
    let run = 0;
    const next = (log: DirtyLog): (() => void) => {
      return () => copy(log, RUN * (run++ % runs));
    };
    return { name, what, kernel: next(logs[0]), twin: next(logs[1]), work };
  };
  return [
    pair("guest-read", "64 pages copied out of a guest", (log, page) =>
      log.read(bytes, page, RUN, kernel.bytes, place),
    ),
    pair("guest-write", "64 pages copied into a guest", (log, page) => log.write(bytes, page, pages)),
  ];
}

/** Pages made records, and written from records, where they are in a guest's memory. */
function inPlacePairs(): readonly Pair[] {
  const { memory } = guestMemories(64);
  const heads = new WebAssembly.Memory({ initial: 4, maximum: 4, shared: true });
  new Uint8Array(memory.buffer).fill(1);
  const work = { unit: "GB/s", bytes: RUN_BYTES } as const;
  const guestOf = ({ kernel, out, records }: Places): { guest: GuestPages; out: number } => {
    kernel.bytes.set(records, out);
    return { guest: kernel.openGuest(memory, { memory: heads, at: 0 }), out };
  };
  const both = () =>
    [
      guestOf(placesOf((bytes) => new WasmPageKernel(bytes))),
      guestOf(placesOf((bytes) => new TypeScriptPageKernel(bytes))),
    ] as const;
  const runs = memory.buffer.byteLength / RUN_BYTES;
  const pair = (
    name: string,
    what: string,
    run: (guest: GuestPages, out: number, page: number) => void,
  ): Pair => {
    let count = 0;
    const [fast, plain] = both();
    const next = ({ guest, out }: { guest: GuestPages; out: number }): (() => void) => {
      return () => run(guest, out, RUN_BYTES * (count++ % runs));
    };
    return { name, what, kernel: next(fast), twin: next(plain), work };
  };
  return [
    pair("guest-encode", "64 pages of a guest made records", (guest, out, page) => {
      guest.encodeRun(page, RUN, page, false, out);
    }),
    pair("guest-store", "64 records made pages of a guest", (guest, out, page) =>
      guest.storeRun(out, RUN, page),
    ),
  ];
}

function guestMemories(mib: number): { memory: WebAssembly.Memory; control: WebAssembly.Memory } {
  const memory = new WebAssembly.Memory({ initial: 16 * mib, maximum: 16 * mib, shared: true });
  const { initialPages: initial, maximumPages: maximum } = CONTROL;
  return { memory, control: new WebAssembly.Memory({ initial, maximum, shared: true }) };
}

/** Milliseconds of a call of each. */
async function measure({ kernel, twin }: Pair): Promise<{ readonly kernel: number; readonly twin: number }> {
  const bench = new Bench({ time: TIME_MS, warmupTime: WARM_UP_MS, throws: true });
  bench.add("kernel", kernel).add("twin", twin);
  await bench.run();
  const [first, second] = bench.tasks.map(({ result }) => {
    if (result.state !== "completed") throw new Error(`a kernel was not measured: ${result.state}`);
    return result.latency.p50;
  });
  return { kernel: first!, twin: second! };
}

async function rowsOf(pair: Pair, { pairs, log }: BenchContext): Promise<readonly Row[]> {
  const { name, what, work, target, ratioTarget, note } = pair;
  const speeds: number[] = [];
  const ratios: number[] = [];
  for (let n = 0; n < pairs; n++) {
    const times = await measure(pair);
    speeds.push(work.unit === "GB/s" ? work.bytes / times.kernel / 1e6 : work.pages / times.kernel);
    ratios.push(times.twin / times.kernel);
  }
  log(`${name}: ${median(speeds).toFixed(2)} ${work.unit}, ${median(ratios).toFixed(2)} times the twin`);
  return [
    {
      name: `kernels.${name}`,
      what,
      figure: median(speeds),
      unit: work.unit,
      samples: speeds,
      ...(target === undefined ? {} : { target }),
      ...(note === undefined ? {} : { note }),
    },
    {
      name: `kernels.${name}.ratio`,
      what: `${what}: kernel / plain TypeScript`,
      figure: median(ratios),
      unit: "ratio",
      samples: ratios,
      ...(ratioTarget === undefined ? {} : { target: ratioTarget }),
    },
  ];
}

/** Each kernel against its twin in plain TypeScript. */
export const kernels: Scenario = {
  name: "kernels",
  title: "what is done to every page, in WebAssembly with vectors and in plain TypeScript",
  needsQemu: false,
  run: async (context) => {
    const rows: Row[] = [];
    for (const pair of [
      pagePair("zero-scan", "64 pages of zeros looked at", zeroPages),
      pagePair("encode-run", "64 whole pages made records", ({ kernel, pages, out }) => {
        kernel.encodeRun(pages, RUN, 0, false, out);
      }),
      pagePair("decode-run", "64 records made pages, with the copy that they come by", decodeRun),
      ...deltaPairs(),
      ...copyPairs(),
      ...inPlacePairs(),
      harvestPair("harvest-sparse", "dirty log of 256 MiB harvested, one page of 997 marked", 997),
      harvestPair("harvest-dense", "dirty log of 256 MiB harvested, every page marked", 1),
    ])
      rows.push(...(await rowsOf(pair, context)));
    return rows;
  },
};
