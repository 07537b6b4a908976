import { join } from "node:path";
import { writeContent } from "../copied-guest.ts";
import { copyPeregrineGuest } from "../peregrine-guest.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const SMALL_MIB = 1024;
/** A WebAssembly program cannot have more than 4 GiB, and needs a little for itself. */
const LARGE_MIB = 4080;

/** Whether a larger guest takes longer than its size says. */
export const large: Scenario = {
  name: "large",
  title: "a guest of 4 GiB against one of 1 GiB: random memory, idle, tcp, no limit",
  needsQemu: false,
  run: async ({ pairs, directory, log }: BenchContext): Promise<readonly Row[]> => {
    const content = writeContent(join(directory, "content"), LARGE_MIB, "random");
    const perGib = async (mib: number): Promise<number> => {
      const copy = await copyPeregrineGuest({ transport: "tcp", content: { ...content, mib } });
      const seconds = (copy.seconds * 1024) / mib;
      log(`${mib} MiB: ${copy.seconds.toFixed(2)} s, ${seconds.toFixed(2)} s for each GiB`);
      return seconds;
    };
    const ratios: number[] = [];
    for (let pair = 0; pair < pairs; pair++) {
      const small = await perGib(SMALL_MIB);
      ratios.push((await perGib(LARGE_MIB)) / small);
    }
    return [
      {
        name: "large.per-gib",
        what: "total time for each GiB, 4 GiB guest / 1 GiB guest",
        figure: median(ratios),
        unit: "ratio",
        target: { atMost: 1.2 },
        samples: ratios,
      },
    ];
  },
};
