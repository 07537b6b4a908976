import { moveInParallel } from "../parallel-move.ts";
import type { MovedInParallel } from "../parallel-move.ts";
import { records, repeatedFile, zstdRatio } from "../record-content.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const MIB = 1024;
const CHANNELS = 2;
const BANDWIDTH = 100 << 20;
const TARGET = 2.5;
/** What compresses so much is what the scenario is about; a file that does not is no such file. */
const RATIO = { least: 3.8, most: 4.2 };

/** What compression is worth where the network is what holds a migration back. */
export const compressible: Scenario = {
  name: "compressible",
  title: `a sleeping program with ${MIB} MiB that compress 4:1 is moved over ${CHANNELS} channels at 100 MiB/s`,
  needsQemu: false,
  run: async (context) => {
    const content = records();
    const ratio = zstdRatio(content);
    if (ratio < RATIO.least || ratio > RATIO.most) {
      throw new Error(`the content compresses ${ratio.toFixed(2)}:1 with zstd, which is not about 4:1`);
    }
    const file = await repeatedFile(context.directory, content, MIB);
    const plain: MovedInParallel[] = [];
    const zstd: MovedInParallel[] = [];
    for (let pair = 0; pair < context.pairs; pair++) {
      plain.push(await move(context, file, "none"));
      zstd.push(await move(context, file, "zstd"));
    }
    return rows(plain, zstd, ratio);
  },
};

async function move(
  { directory, log }: BenchContext,
  file: string,
  compression: "none" | "zstd",
): Promise<MovedInParallel> {
  const guest = { directory, file, mib: MIB };
  const moved = await moveInParallel(guest, { channels: CHANNELS, compression, bandwidth: BANDWIDTH });
  log(
    `${compression}: ${moved.totalTime} ms, ${(moved.transferred / 2 ** 20).toFixed(0)} MiB sent, ${moved.cpuTime.toFixed(1)} s of processor time`,
  );
  return moved;
}

function rows(plain: readonly MovedInParallel[], zstd: readonly MovedInParallel[], ratio: number): Row[] {
  const ratios = plain.map(({ totalTime }, pair) => totalTime / zstd[pair]!.totalTime);
  const times = zstd.map(({ totalTime }) => totalTime);
  return [
    {
      name: "compressible.total-time",
      what: "total time, uncompressed / zstd",
      figure: median(ratios),
      unit: "ratio",
      target: { atLeast: TARGET },
      samples: ratios,
      note: `zstd at level 1 makes ${ratio.toFixed(2)}:1 of the content`,
    },
    {
      name: "compressible.zstd",
      what: "total time with zstd",
      figure: median(times),
      unit: "ms",
      samples: times,
    },
  ];
}
