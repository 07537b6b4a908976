import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import { ControlBlock, REQUEST } from "../src/control-block.ts";
import { GuestInstance } from "../src/guest-instance.ts";
import type { GuestThreadData } from "../src/guest-messages.ts";
import { writeSegments } from "../src/guest-program.ts";
import { CONTROL } from "../src/rewrite/control-layout.ts";
import { rewrite } from "../src/rewrite/rewrite.ts";
import { newWasmRamShared, WasmRam } from "../src/wasm-ram.ts";

/** Host calls of the test modules: they see what the module passes. */
export type TestImports = Readonly<Record<string, (...args: (number | bigint)[]) => number>>;

export interface RunResult {
  readonly memory: Uint8Array;
  /** How the program ended: "finished", or the message of its trap. */
  readonly end: string;
}

export interface DisturbedRun extends RunResult {
  readonly unwinds: number;
  /** Pages that changed and were neither marked nor found by the comparison. */
  readonly missedPages: number;
  readonly deepestFrames: number;
}

const PROGRAM_IMPORTS = ["fd_write", "poll_oneoff", "fd_read", "proc_exit"];

/** Runs the original module. */
export function runPlain(bytes: Uint8Array, imports: TestImports = {}): RunResult {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(bytes), {
    wasi_snapshot_preview1: { ...imports },
  });
  const start = instance.exports["_start"] as () => void;
  const end = attempt(start);
  return { memory: new Uint8Array((instance.exports["memory"] as WebAssembly.Memory).buffer).slice(), end };
}

export interface TestOptions {
  readonly releaseMarks?: boolean;
  /** Default: loops are safepoints in each iteration. */
  readonly pollEvery?: number;
}

export const rewriteForTest = (
  bytes: Uint8Array,
  { releaseMarks = false, pollEvery = 1 }: TestOptions = {},
): ReturnType<typeof rewrite> =>
  rewrite(bytes, {
    supportedImports: new Set(PROGRAM_IMPORTS),
    blockingImports: new Set(["poll_oneoff", "fd_read"]),
    releaseMarks,
    pollEvery,
  });

function attempt(run: () => void): string {
  try {
    run();
    return "finished";
  } catch (error) {
    return (error as Error).message;
  }
}

/**
 * Runs the rewritten module and unwinds it at every safepoint it comes to, changing between the plain and the
 * tracked variant each time. While the tracked one runs, every change of memory has to be found by a harvest.
 * @param imports gets a function that unwinds out of the host call when the guest is asked to.
 */
export function runDisturbed(
  bytes: Uint8Array,
  imports: (unwindIfAsked: () => void) => TestImports = () => ({}),
  options: TestOptions = {},
): DisturbedRun {
  const { plain, tracked, info } = rewriteForTest(bytes, options);
  const memory = new WebAssembly.Memory({
    ...info.memory,
    maximum: Math.min(info.memory.maximum, 1024),
    shared: true,
  });
  const control = new WebAssembly.Memory({
    initial: CONTROL.initialPages,
    maximum: CONTROL.maximumPages,
    shared: true,
  });
  const program = { plain: new WebAssembly.Module(plain), tracked: new WebAssembly.Module(tracked), info };
  const data: GuestThreadData = { program, memory, control };
  const block = new ControlBlock(control);
  const instance: GuestInstance = new GuestInstance(
    data,
    imports(() => {
      if (block.interrupted()) instance.unwind();
    }),
  );
  instance.instantiate("plain");
  writeSegments(data);
  let unwinds = 0;
  let missedPages = 0;
  let deepestFrames = 0;
  let variant: "plain" | "tracked" = "plain";
  const maximumBytes = 1024 * 65_536;
  const ram = new WasmRam({ memory, control, maximumBytes, ...newWasmRamShared(maximumBytes) });
  let end: string | undefined;
  while (end === undefined) {
    const before = variant === "tracked" ? snapshot(ram, memory) : undefined;
    block.request(REQUEST.usePlain);
    const departure = unwinds === 0 ? instance.start() : instance.resume();
    if (before !== undefined) missedPages += countMissed(ram, memory, before);
    if (departure.kind === "finished") end = "finished";
    else if (departure.kind === "threw") end = (departure.error as Error).message;
    else {
      unwinds++;
      block.takeRequest();
      deepestFrames = Math.max(deepestFrames, block.framesEnd - CONTROL.frames);
      variant = variant === "plain" ? "tracked" : "plain";
      instance.use(variant);
      if (unwinds > 2_000_000) throw new Error("the program does not end");
    }
  }
  return { memory: new Uint8Array(memory.buffer).slice(), end, unwinds, missedPages, deepestFrames };
}

/** Reads every page, as a first pass does, with an empty dirty log. */
function snapshot(ram: WasmRam, memory: WebAssembly.Memory): Uint8Array {
  ram.harvest([new DirtyBitmap(memory.buffer.byteLength / PAGE_SIZE)]);
  const copy = new Uint8Array(memory.buffer.byteLength);
  ram.readPages(0, 0, copy.length / PAGE_SIZE, copy, 0);
  return copy;
}

function countMissed(ram: WasmRam, memory: WebAssembly.Memory, before: Uint8Array): number {
  const now = new Uint8Array(memory.buffer);
  const pages = now.length / PAGE_SIZE;
  const bitmap = new DirtyBitmap(pages);
  ram.harvest([bitmap]);
  let missed = 0;
  for (let page = 0; page < pages; page++) {
    const start = page * PAGE_SIZE;
    const old = start < before.length ? before.subarray(start, start + PAGE_SIZE) : new Uint8Array(PAGE_SIZE);
    const same = Buffer.compare(now.subarray(start, start + PAGE_SIZE), old) === 0;
    if (!same && !bitmap.test(page)) missed++;
  }
  return missed;
}
