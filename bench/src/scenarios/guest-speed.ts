import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type GuestProgram, PROGRAMS } from "../guest-programs.ts";
import type { GuestMode, GuestTimes } from "../guest-run.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { geometricMean, median } from "../statistics.ts";

const run = promisify(execFile);
const RUNNER = fileURLToPath(new URL("../guest-run.ts", import.meta.url));

/** Share of its time after which a guest is stopped and continued. */
const MOVED_AFTER = 0.25;

const COMPARISONS = {
  plain: { what: "processor time not migrating / original module", mean: 1.08, worst: 1.25 },
  tracked: { what: "processor time with its dirty log on / original module", mean: 1.18, worst: 1.4 },
  arrived: { what: "processor time after an arrival / not migrating", mean: 1.1, worst: 1.3 },
} as const;
type Comparison = keyof typeof COMPARISONS;

/** One program's ratios; the median of the pairs. */
interface Ratios extends Record<Comparison, number> {
  readonly name: string;
}

async function timesOf(
  { name }: GuestProgram,
  mode: GuestMode,
  { directory }: BenchContext,
  afterMs = 0,
): Promise<GuestTimes> {
  const args = [RUNNER, name, mode, `${directory}/cache`, String(afterMs)];
  const { stdout } = await run(process.execPath, args);
  return JSON.parse(stdout) as GuestTimes;
}

/** The modes take turns, so that a machine that becomes slower does so for all of them. */
async function measure(program: GuestProgram, context: BenchContext): Promise<Ratios> {
  const samples: Record<Comparison, number[]> = { plain: [], tracked: [], arrived: [] };
  // So that no measured run finds the module not rewritten, or not in the page cache.
  const first = await timesOf(program, "plain", context);
  await timesOf(program, "original", context);
  for (let pair = 0; pair < context.pairs; pair++) {
    const original = await timesOf(program, "original", context);
    const plain = await timesOf(program, "plain", context);
    const arrived = await timesOf(program, "arrived", context, first.ms * MOVED_AFTER);
    const tracked = await timesOf(program, "tracked", context);
    samples.plain.push(plain.ms / original.ms);
    samples.tracked.push(tracked.ms / original.ms);
    samples.arrived.push(arrived.continuedMs! / (plain.ms - arrived.ms));
  }
  const ratios = {
    name: program.name,
    plain: median(samples.plain),
    tracked: median(samples.tracked),
    arrived: median(samples.arrived),
  };
  const texts = Object.keys(COMPARISONS).map((key) => `${key} ${ratios[key as Comparison].toFixed(2)}`);
  context.log(`${program.name}: ${texts.join(", ")} (original ${first.ms.toFixed(0)} ms)`);
  return ratios;
}

function rowsOf(key: Comparison, ratios: readonly Ratios[]): Row[] {
  const { what, mean, worst } = COMPARISONS[key];
  const samples = ratios.map((each) => each[key]);
  const slowest = ratios.reduce((a, b) => (b[key] > a[key] ? b : a));
  return [
    {
      name: `guest-speed.${key}`,
      what: `${what}, geometric mean`,
      figure: geometricMean(samples),
      unit: "ratio",
      target: { atMost: mean },
      samples,
      note: ratios.map((each) => `${each.name} ${each[key].toFixed(2)}`).join(", "),
    },
    {
      name: `guest-speed.${key}-worst`,
      what: `${what}, slowest program`,
      figure: slowest[key],
      unit: "ratio",
      target: { atMost: worst },
      samples: [],
      note: slowest.name,
    },
  ];
}

export const guestSpeed: Scenario = {
  name: "guest-speed",
  title: "runs programs as they are, rewritten, with the dirty log on, and after an arrival",
  needsQemu: false,
  async run(context) {
    const ratios: Ratios[] = [];
    for (const program of PROGRAMS) ratios.push(await measure(program, context));
    return (Object.keys(COMPARISONS) as Comparison[]).flatMap((key) => rowsOf(key, ratios));
  },
};
