import { createWriteStream } from "node:fs";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { join } from "node:path";
import { moveInParallel } from "../parallel-move.ts";
import type { MovedInParallel, ParallelMove } from "../parallel-move.ts";
import { records, repeatedFile } from "../record-content.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const MIB = 1024;
const CHANNELS = 2;
const PIECE = 1 << 20;

const ONE = { channels: 0, compression: "none", bandwidth: 0 } as const;

/** What parallel channels are worth where nothing but the machine holds a migration back. */
export const multifd: Scenario = {
  name: "multifd",
  title: `a sleeping program with ${MIB} MiB is moved over one connection and over ${CHANNELS} channels, without a limit`,
  needsQemu: false,
  run: async (context) => {
    const random = await randomFile(context.directory, MIB);
    const compressible = await repeatedFile(context.directory, records(), MIB);
    return [
      ...(await compare(context, random, "random", "none")),
      ...(await compare(context, compressible, "compressible", "zstd")),
      ...(await compare(context, compressible, "compressible", "zlib")),
    ];
  },
};

async function compare(
  context: BenchContext,
  file: string,
  content: string,
  compression: ParallelMove["compression"],
): Promise<Row[]> {
  const one: MovedInParallel[] = [];
  const parallel: MovedInParallel[] = [];
  const guest = { directory: context.directory, file, mib: MIB };
  for (let pair = 0; pair < context.pairs; pair++) {
    one.push(await moveInParallel(guest, ONE));
    parallel.push(await moveInParallel(guest, { channels: CHANNELS, compression, bandwidth: 0 }));
    context.log(
      `${content}: ${one.at(-1)!.totalTime} ms over one, ${parallel.at(-1)!.totalTime} ms over ${CHANNELS} with ${compression}`,
    );
  }
  return rows(`multifd.${content}-${compression}`, `${content} content, ${compression}`, one, parallel);
}

function rows(
  name: string,
  what: string,
  one: readonly MovedInParallel[],
  parallel: readonly MovedInParallel[],
): Row[] {
  const ratios = one.map(({ totalTime }, pair) => totalTime / parallel[pair]!.totalTime);
  const more = (side: "source" | "destination"): number[] =>
    parallel.map(({ peakBytes }, pair) => (peakBytes[side] - one[pair]!.peakBytes[side]) / CHANNELS / 1e6);
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

async function randomFile(directory: string, mib: number): Promise<string> {
  const name = `random-${mib}`;
  const file = createWriteStream(join(directory, name));
  for (let n = 0; n < mib; n++) {
    if (!file.write(randomBytes(PIECE))) await once(file, "drain");
  }
  file.end();
  await once(file, "close");
  return name;
}
