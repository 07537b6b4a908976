import { qemu100, qemu72 } from "@peregrine/e2e/qemu/releases.ts";
import type { MigrationSettings } from "@peregrine/e2e/qemu/virtual-machine.ts";
import { copyOverBareSocket } from "../bare-copy.ts";
import { writeContent } from "../content.ts";
import type { ContentKind, Copy, Transport } from "../content.ts";
import { copyPeregrineGuest } from "../peregrine-guest.ts";
import type { Parallel } from "../peregrine-guest.ts";
import { copyQemuGuest } from "../qemu-guest.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

interface CopyScenario {
  readonly name: string;
  readonly content: ContentKind;
  readonly transport: Transport;
  /** Default: everything goes on the main connection. */
  readonly parallel?: Parallel;
  /** Undefined where the time is shown only. */
  readonly totalTime?: { readonly atLeast: number };
  /** Undefined where the processor's time is shown only. */
  readonly processor?: { readonly atMost: number };
  /** Whether the same records are moved by programs that do nothing else, to see what is left to gain. Over unix sockets. */
  readonly bare?: true;
}

const MIB = 1024;
const CHANNELS = 2;

function multifdSettings({ channels, compression }: Parallel): MigrationSettings {
  return {
    capabilities: ["multifd"],
    parameters: { "multifd-channels": channels, "multifd-compression": compression },
  };
}

/** The same memory moved by Peregrine and by both releases of QEMU, in turn. */
function copyScenario(options: CopyScenario): Scenario {
  const { name, content, transport, parallel, totalTime, processor, bare } = options;
  const over =
    parallel === undefined ? "" : `, ${parallel.channels} channels, compression ${parallel.compression}`;
  const settings = parallel === undefined ? {} : multifdSettings(parallel);
  return {
    name,
    title: `1 GiB of ${content} memory, idle guest, ${transport}, no limit${over}`,
    needsQemu: true,
    run: async ({ pairs, directory, log }: BenchContext): Promise<readonly Row[]> => {
      const file = writeContent(directory, MIB, content);
      const own: Copy[] = [];
      const bares: number[] = [];
      const qemus = [qemu100, qemu72].map((release) => ({ release, copies: [] as Copy[] }));
      // The first turn only warms up what both find: the file in memory, programs on disk.
      for (let turn = 0; turn <= pairs; turn++) {
        const mine = await copyPeregrineGuest({ transport, content: file, ...(parallel && { parallel }) });
        log(copyLine("Peregrine", mine));
        if (turn > 0) own.push(mine);
        for (const { release, copies } of qemus) {
          const copy = await copyQemuGuest({ release, directory, transport, content: file, settings });
          log(copyLine(`QEMU ${release.version}`, copy));
          if (turn > 0) copies.push(copy);
        }
        if (bare === undefined) continue;
        const { seconds, processorSeconds } = await copyOverBareSocket(file, directory);
        log(`only copied: ${seconds.toFixed(2)} s, ${processorSeconds.toFixed(2)} s of CPU`);
        if (turn > 0) bares.push(seconds);
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
          ...(totalTime === undefined ? {} : { target: totalTime }),
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
        ...(bare === undefined ? [] : [bareRow(name, bares, faster.copies)]),
      ];
    },
  };
}

/** What a program would come to that took no time but the kernel's. */
function bareRow(name: string, bares: readonly number[], qemus: readonly Copy[]): Row {
  const ratios = bares.map((seconds, n) => qemus[n]!.seconds / seconds);
  return {
    name: `${name}.bare`,
    what: "total time, QEMU / two programs that only write and read the same records",
    figure: median(ratios),
    unit: "ratio",
    samples: ratios,
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
  bare: true,
});

export const zeroTcp = copyScenario({
  name: "zero-tcp",
  content: "zero",
  transport: "tcp",
  totalTime: { atLeast: 1 },
});

export const parallelScenarios: readonly Scenario[] = [
  copyScenario({
    name: "parallel",
    content: "random",
    transport: "tcp",
    parallel: { channels: CHANNELS, compression: "none" },
  }),
  copyScenario({
    name: "parallel-zstd",
    content: "records",
    transport: "tcp",
    parallel: { channels: CHANNELS, compression: "zstd" },
  }),
  copyScenario({
    name: "parallel-zlib",
    content: "records",
    transport: "tcp",
    parallel: { channels: CHANNELS, compression: "zlib" },
  }),
];
