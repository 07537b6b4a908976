import { qemu100, qemu72 } from "@peregrine/e2e/qemu/releases.ts";
import { writeContent } from "../content.ts";
import type { ContentKind, Copy, Transport } from "../content.ts";
import { copyPeregrineGuest } from "../peregrine-guest.ts";
import { copyQemuGuest } from "../qemu-guest.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

interface CopyScenario {
  readonly name: string;
  readonly content: ContentKind;
  readonly transport: Transport;
  readonly totalTime: { readonly atLeast: number };
  /** Undefined where the processor's time is shown only. */
  readonly processor?: { readonly atMost: number };
}

const MIB = 1024;

/** The same memory moved by Peregrine and by both releases of QEMU, in turn. */
function copyScenario({ name, content, transport, totalTime, processor }: CopyScenario): Scenario {
  return {
    name,
    title: `1 GiB of ${content} memory, idle guest, ${transport}, no limit`,
    needsQemu: true,
    run: async ({ pairs, directory, log }: BenchContext): Promise<readonly Row[]> => {
      const file = writeContent(directory, MIB, content);
      const own: Copy[] = [];
      const qemus = [qemu100, qemu72].map((release) => ({ release, copies: [] as Copy[] }));
      // The first turn only warms up what both find: the file in memory, programs on disk.
      for (let turn = 0; turn <= pairs; turn++) {
        const mine = await copyPeregrineGuest({ transport, content: file });
        log(copyLine("Peregrine", mine));
        if (turn > 0) own.push(mine);
        for (const { release, copies } of qemus) {
          const copy = await copyQemuGuest({ release, directory, transport, content: file });
          log(copyLine(`QEMU ${release.version}`, copy));
          if (turn > 0) copies.push(copy);
        }
      }
      const medianTime = (copies: readonly Copy[]): number => median(copies.map(({ seconds }) => seconds));
      const faster = qemus.toSorted((a, b) => medianTime(a.copies) - medianTime(b.copies))[0]!;
      const compared = `compared with QEMU ${faster.release.version}, the faster one`;
      const times = own.map(({ seconds }, n) => faster.copies[n]!.seconds / seconds);
      const costs = own.map((copy, n) => copy.processorSeconds / faster.copies[n]!.processorSeconds);
      return [
        {
          name: `${name}.total-time`,
          what: "total time, QEMU / Peregrine",
          figure: median(times),
          unit: "ratio",
          target: totalTime,
          samples: times,
          note: compared,
        },
        {
          name: `${name}.processor`,
          what: "CPU seconds of both ends, Peregrine / QEMU",
          figure: median(costs),
          unit: "ratio",
          ...(processor === undefined ? {} : { target: processor }),
          samples: costs,
          note: compared,
        },
      ];
    },
  };
}

function copyLine(who: string, { seconds, downtime, processorSeconds }: Copy): string {
  return `${who}: ${seconds.toFixed(2)} s, ${downtime} ms downtime, ${processorSeconds.toFixed(2)} s of CPU`;
}

export const randomTcp = copyScenario({
  name: "random-tcp",
  content: "random",
  transport: "tcp",
  totalTime: { atLeast: 1 },
  processor: { atMost: 1.2 },
});

export const randomUnix = copyScenario({
  name: "random-unix",
  content: "random",
  transport: "unix",
  totalTime: { atLeast: 1.5 },
  processor: { atMost: 1.2 },
});

export const zeroTcp = copyScenario({
  name: "zero-tcp",
  content: "zero",
  transport: "tcp",
  totalTime: { atLeast: 1 },
});
