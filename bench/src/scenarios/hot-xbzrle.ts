import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { moveHotGuest } from "@peregrine/e2e/hot-guest.ts";
import { qemu100, qemu72 } from "@peregrine/e2e/qemu/releases.ts";
import type { QemuRelease } from "@peregrine/e2e/qemu/releases.ts";
import { VirtualMachine } from "@peregrine/e2e/qemu/virtual-machine.ts";
import type { MachineOptions } from "@peregrine/e2e/qemu/virtual-machine.ts";
import type { BenchContext, Row, Scenario } from "../scenario.ts";
import { median } from "../statistics.ts";

const BOOT_SECTOR = fileURLToPath(new URL("../../guests/hot.bin", import.meta.url));
/** Of the virtual machine: 41 MiB of it are hot. */
const MEMORY_MIB = 64;
const BANDWIDTH = 32 << 20;
/** Tolerated downtimes, ms: what this release of the original had, and what later ones have. */
const DOWNTIMES = [30, 300];
/** A QEMU that has not ended by then is given up, seconds: its figure is this. */
const PATIENCE = 60;

/** @returns seconds as the source says, or {@link PATIENCE}. */
async function moveQemu(release: QemuRelease, directory: string, downtime: number): Promise<number> {
  const machine = (name: string, mode: MachineOptions["mode"]): VirtualMachine => {
    const disk = join(directory, `${name}.img`);
    copyFileSync(BOOT_SECTOR, disk);
    return new VirtualMachine(directory, name, {
      release,
      type: "pc-i440fx-7.2",
      disk,
      devices: [],
      anonymousMib: MEMORY_MIB,
      mode,
    });
  };
  const source = machine("source", "boot");
  const destination = machine("destination", "incoming");
  try {
    await Promise.all([source.ready(release), destination.ready(release)]);
    const settings = {
      capabilities: ["xbzrle"],
      parameters: { "max-bandwidth": BANDWIDTH, "downtime-limit": downtime },
    };
    await Promise.all([source.configure(settings), destination.configure(settings)]);
    await source.untilPrinted(1);
    const uri = await destination.listen("unix");
    await source.execute("migrate", { uri });
    const until = performance.now() + PATIENCE * 1000;
    const info = await source.migration(
      ({ status }) => status === "completed" || status === "failed" || performance.now() > until,
    );
    if (info.status === "failed") throw new Error(`QEMU ${release.version}: ${info["error-desc"]}`);
    if (info.status !== "completed") return PATIENCE;
    return (info as { readonly "total-time"?: number })["total-time"]! / 1000;
  } finally {
    await Promise.all([source.end(), destination.end()]);
  }
}

async function movePeregrine(downtime: number): Promise<number> {
  const { status, seconds } = await moveHotGuest(downtime, BANDWIDTH);
  if (status !== "completed") throw new Error(`Peregrine: the migration is ${status}`);
  return seconds;
}

async function compare(downtime: number, { pairs, directory, log }: BenchContext): Promise<Row> {
  const own: number[] = [];
  const qemus = [qemu100, qemu72].map((release) => ({ release, seconds: [] as number[] }));
  for (let pair = 0; pair < pairs; pair++) {
    own.push(await movePeregrine(downtime));
    log(`${downtime} ms tolerated, Peregrine: ${own.at(-1)!.toFixed(2)} s`);
    for (const { release, seconds } of qemus) {
      seconds.push(await moveQemu(release, directory, downtime));
      log(`${downtime} ms tolerated, QEMU ${release.version}: ${seconds.at(-1)!.toFixed(2)} s`);
    }
  }
  const faster = qemus.toSorted((a, b) => median(a.seconds) - median(b.seconds))[0]!;
  const ratios = own.map((seconds, n) => faster.seconds[n]! / seconds);
  const endless = faster.seconds.filter((seconds) => seconds === PATIENCE).length;
  return {
    name: `hot-xbzrle.${downtime}-ms`,
    what: `total time with ${downtime} ms of tolerated downtime, QEMU / Peregrine`,
    figure: median(ratios),
    unit: "ratio",
    target: { atLeast: 3 },
    samples: ratios,
    note:
      `compared with QEMU ${faster.release.version}, the faster one` +
      (endless === 0 ? "" : `; ${endless} of its moves were given up after ${PATIENCE} s and count as that`),
  };
}

/** A guest that writes to all of its 41 MiB again and again, as fast as it can. */
export const hotXbzrle: Scenario = {
  name: "hot-xbzrle",
  title: "41 MiB that are hot all the time, 32 MiB/s, xbzrle",
  needsQemu: true,
  run: async (context: BenchContext): Promise<readonly Row[]> => {
    const rows: Row[] = [];
    for (const downtime of DOWNTIMES) rows.push(await compare(downtime, context));
    return rows;
  },
};
