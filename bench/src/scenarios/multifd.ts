import { writeContent } from "../content.ts";
import type { Content } from "../content.ts";
import { copyPeregrineGuest } from "../peregrine-guest.ts";
import type { PeregrineCopy } from "../peregrine-guest.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const MIB = 1024;
const CHANNELS = 2;

/** What parallel channels are worth where nothing but the machine holds a migration back. */
export const multifd: Scenario = {
  name: "multifd",
  title: `a sleeping program with ${MIB} MiB is moved over one connection and over ${CHANNELS} channels, without a limit`,
  needsQemu: false,
  run: async (context) => {
    const random = writeContent(context.directory, MIB, "random");
    const compressible = writeContent(context.directory, MIB, "records");
    return [
      ...(await compare(context, random, "random", "none")),
      ...(await compare(context, compressible, "compressible", "zstd")),
      ...(await compare(context, compressible, "compressible", "zlib")),
    ];
  },
};

async function compare(
  context: BenchContext,
  content: Content,
  name: string,
  compression: "none" | "zlib" | "zstd",
): Promise<Row[]> {
  const one: PeregrineCopy[] = [];
  const parallel: PeregrineCopy[] = [];
  const transport = "tcp";
  for (let pair = 0; pair < context.pairs; pair++) {
    one.push(await copyPeregrineGuest({ transport, content }));
    parallel.push(
      await copyPeregrineGuest({ transport, content, parallel: { channels: CHANNELS, compression } }),
    );
    context.log(
      `${name}: ${one.at(-1)!.totalTime} ms over one, ${parallel.at(-1)!.totalTime} ms over ${CHANNELS} with ${compression}`,
    );
  }
  return rows(`multifd.${name}-${compression}`, `${name} content, ${compression}`, one, parallel);
}

function rows(
  name: string,
  what: string,
  one: readonly PeregrineCopy[],
  parallel: readonly PeregrineCopy[],
): Row[] {
  const ratios = one.map(({ totalTime }, pair) => totalTime / parallel[pair]!.totalTime);
  const more = (side: "source" | "destination"): number[] =>
    parallel.map(({ peakMemory }, pair) => (peakMemory[side] - one[pair]!.peakMemory[side]) / CHANNELS / 1e6);
  const memory = (side: "source" | "destination"): Row => ({
    name: `${name}.${side}-memory`,
    what: `${what}: memory of the ${side} for each channel`,
    figure: median(more(side)),
    unit: "MB",
    samples: more(side),
  });
  return [
    {
      name,
      what: `${what}: total time, one connection / ${CHANNELS} channels`,
      figure: median(ratios),
      unit: "ratio",
      samples: ratios,
    },
    memory("source"),
    memory("destination"),
  ];
}
