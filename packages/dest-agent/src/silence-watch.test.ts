import { ALL_EXTENSIONS, NO_EXTENSIONS } from "@peregrine/protocol";
import type { MigrationError } from "@peregrine/protocol";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { processClock } from "./incoming-statistics.ts";
import { SilenceWatch } from "./silence-watch.ts";
import type { SilenceWatchOptions } from "./silence-watch.ts";

const SILENCE = 4000;

beforeEach(() => void vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "hrtime"] }));
afterEach(() => void vi.useRealTimers());

interface Watched {
  readonly codes: string[];
  readonly statistics: { bytes: number };
  readonly chunks: { waitingSince: number | undefined };
  readonly multifd: { waitingSince: number | undefined };
}

function watched(options: Partial<SilenceWatchOptions> = {}): Watched & Disposable {
  const codes: string[] = [];
  const statistics = { bytes: 0 };
  const chunks = { waitingSince: undefined as number | undefined };
  const multifd = { waitingSince: undefined as number | undefined };
  const watch = new SilenceWatch({
    chunks,
    multifd,
    statistics,
    interruption: { interrupt: (error: MigrationError) => void codes.push(error.code) },
    returnPath: { extensions: ALL_EXTENSIONS },
    rests: () => true,
    saidAll: () => false,
    silence: SILENCE,
    ...options,
  });
  return { codes, statistics, chunks, multifd, [Symbol.dispose]: () => watch[Symbol.dispose]() };
}

/** Goes on for a time, with so many bytes in each second. */
function pass(seconds: number, { statistics }: Watched, bytes: number): void {
  for (let n = 0; n < seconds; n++) {
    statistics.bytes += bytes;
    vi.advanceTimersByTime(1000);
  }
}

test.for(["chunks", "multifd"] as const)("a source that says nothing is given up: %s", (what) => {
  using it = watched();
  it[what].waitingSince = processClock();
  pass(4, it, 0);
  expect(it.codes).toEqual([]);
  pass(1, it, 0);
  expect(it.codes).toEqual(["PEER_SILENT"]);
});

test("bytes on any connection show that it lives", () => {
  using it = watched();
  it.multifd.waitingSince = processClock();
  pass(20, it, 1);
  expect(it.codes).toEqual([]);
});

test("nobody blames it while nothing is waited for, or where it has promised nothing", () => {
  using busy = watched();
  pass(20, busy, 0);
  using plain = watched({ returnPath: { extensions: NO_EXTENSIONS } });
  plain.chunks.waitingSince = processClock();
  pass(20, plain, 0);
  expect([busy.codes, plain.codes]).toEqual([[], []]);
});

test("one that may say nothing more is not given up, until it may", () => {
  let saidAll = true;
  using it = watched({ saidAll: () => saidAll, rests: () => false });
  it.chunks.waitingSince = processClock();
  pass(20, it, 0);
  expect(it.codes).toEqual([]);
  it.statistics.bytes++;
  saidAll = false;
  pass(4, it, 0);
  expect(it.codes).toEqual([]);
  pass(2, it, 0);
  expect(it.codes).toContain("PEER_SILENT");
});

test("one that only says that it lives, and stops in the middle of something, is given up", () => {
  using it = watched({ rests: () => false });
  it.chunks.waitingSince = processClock();
  pass(4, it, 5);
  expect(it.codes).toEqual([]);
  pass(1, it, 5);
  expect(it.codes).toEqual(["TRUNCATED"]);
});

test.for([
  [300, false],
  [5, true],
] as const)(
  "one that goes on slowly is not, nor one that has finished what it began: %o",
  ([bytes, rests]) => {
    using it = watched({ rests: () => rests });
    it.chunks.waitingSince = processClock();
    pass(20, it, bytes);
    expect(it.codes).toEqual([]);
  },
);
