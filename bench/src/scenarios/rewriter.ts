import { execFile } from "node:child_process";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { LAUNCHED } from "@peregrine/e2e/agent-process.ts";
import { PROGRAMS } from "../guest-programs.ts";
import type { RewriteFigures } from "../rewrite-run.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { geometricMean, median } from "../statistics.ts";

const run = promisify(execFile);
const RUNNER = fileURLToPath(new URL("../rewrite-run.ts", import.meta.url));
const MOST_SECONDS_PER_MB = 2;
const MOST_TIMES_THE_SIZE = 3;
const MB = 1e6;

interface ModuleFigures {
  readonly name: string;
  readonly secondsPerMb: number;
  readonly plain: number;
  readonly tracked: number;
}

async function measure(file: string, { pairs, log }: BenchContext): Promise<ModuleFigures> {
  const runs: RewriteFigures[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    const env = { ...process.env, ...LAUNCHED.environment };
    const { stdout } = await run(process.execPath, [...LAUNCHED.options, RUNNER, file], { env });
    runs.push(JSON.parse(stdout) as RewriteFigures);
  }
  const { original, plain, tracked } = runs[0]!;
  const seconds = median(runs.map((each) => each.seconds));
  const figures = {
    name: basename(file, ".wasm"),
    secondsPerMb: seconds / (original / MB),
    plain: plain / original,
    tracked: tracked / original,
  };
  log(
    `${figures.name}, ${Math.round(original / 1000)} kB: ${(seconds * 1000).toFixed(0)} ms, ${figures.plain.toFixed(2)} and ${figures.tracked.toFixed(2)} times the size`,
  );
  return figures;
}

function rowsOf(
  key: Exclude<keyof ModuleFigures, "name">,
  what: string,
  unit: Row["unit"],
  most: number,
  all: readonly ModuleFigures[],
): Row[] {
  const samples = all.map((each) => each[key]);
  const worst = all.reduce((a, b) => (b[key] > a[key] ? b : a));
  const name = `rewriter.${key === "secondsPerMb" ? "time" : `size-${key}`}`;
  const target = { atMost: most };
  const note = all.map((each) => `${each.name} ${each[key].toFixed(2)}`).join(", ");
  return [
    { name, what: `${what}, geometric mean`, figure: geometricMean(samples), unit, target, samples, note },
    {
      name: `${name}-worst`,
      what: `${what}, worst`,
      figure: worst[key],
      unit,
      target,
      samples: [],
      note: worst.name,
    },
  ];
}

/** Time and size of the rewriter's output for the programs of the other scenario, each rewritten in a new process. */
export const rewriter: Scenario = {
  name: "rewriter",
  title: "rewrites modules of 20 kB to 1 MB, each in a new process",
  needsQemu: false,
  async run(context) {
    const all: ModuleFigures[] = [];
    for (const file of new Set(PROGRAMS.map((program) => program.file)))
      all.push(await measure(file, context));
    return [
      ...rowsOf("secondsPerMb", "time to rewrite both variants", "s/MB", MOST_SECONDS_PER_MB, all),
      ...rowsOf("plain", "size, plain variant / original", "ratio", MOST_TIMES_THE_SIZE, all),
      ...rowsOf("tracked", "size, tracked variant / original", "ratio", MOST_TIMES_THE_SIZE, all),
    ];
  },
};
