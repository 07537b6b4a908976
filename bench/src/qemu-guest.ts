import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { QemuRelease } from "@peregrine/e2e/qemu/releases.ts";
import { VirtualMachine } from "@peregrine/e2e/qemu/virtual-machine.ts";
import type { MachineOptions, MigrationSettings } from "@peregrine/e2e/qemu/virtual-machine.ts";
import type { Content, Copy, Transport } from "./content.ts";
import { processorSeconds } from "./process-cost.ts";
import { warmMemory } from "./warm-memory.ts";

/** More than any link has, bytes per second: releases differ in what 0 means. */
export const UNLIMITED = 2 ** 50;

/** Below are tables and firmware. */
const CONTENT_AT = 0x10_0000;

/** Stands still for ever: `cli; hlt; jmp` to the second one. */
const IDLE_BOOT_SECTOR = Uint8Array.from({ length: 512 }, (_, at) => {
  if (at >= 510) return at === 510 ? 0x55 : 0xaa;
  return [0xfa, 0xf4, 0xeb, 0xfd][at] ?? 0;
});

/** How long a new machine is given to be done with its firmware, milliseconds. */
const BOOT_MS = 3000;

export interface QemuCopyOptions {
  readonly release: QemuRelease;
  readonly directory: string;
  readonly transport: Transport;
  readonly content: Content;
  readonly settings?: MigrationSettings;
}

/**
 * Moves a virtual machine from one QEMU to another. Its memory is anonymous, as most people have it, so that the kernel
 * gives it huge pages, and filled from the content but for the first MiB and one at the end.
 */
export async function copyQemuGuest(options: QemuCopyOptions): Promise<Copy> {
  const { release, directory, content, transport, settings = {} } = options;
  const machine = (
    name: string,
    mode: MachineOptions["mode"],
    devices: readonly string[],
  ): VirtualMachine => {
    const disk = join(directory, `${name}.img`);
    writeFileSync(disk, IDLE_BOOT_SECTOR);
    const type = "pc-i440fx-7.2";
    return new VirtualMachine(directory, name, {
      release,
      type,
      disk,
      devices,
      anonymousMib: content.mib + 2,
      mode,
    });
  };
  const loader = `loader,file=${content.path},addr=${CONTENT_AT},force-raw=on`;
  const source = machine("source", "boot", ["-device", loader]);
  const destination = machine("destination", "incoming", []);
  try {
    await Promise.all([source.ready(release), destination.ready(release)]);
    await new Promise((resolve) => setTimeout(resolve, BOOT_MS));
    const parameters = { "max-bandwidth": UNLIMITED, ...settings.parameters };
    await Promise.all([source, destination].map((one) => one.configure({ ...settings, parameters })));
    const uri = await destination.listen(transport);
    const cost = (): number => processorSeconds(source.pid) + processorSeconds(destination.pid);
    await warmMemory(content.mib);
    const resumed = destination.momentOf("RESUME");
    const before = cost();
    const start = performance.now();
    await source.execute("migrate", { uri });
    const info = (await source.migration(({ status }) => status === "completed" || status === "failed")) as {
      readonly status?: string;
      readonly "error-desc"?: string;
      readonly "total-time"?: number;
      readonly downtime?: number;
    };
    if (info.status !== "completed") throw new Error(`QEMU ${release.version}: ${info["error-desc"]}`);
    const seconds = ((await resumed) - start) / 1000;
    return {
      seconds,
      totalTime: info["total-time"]!,
      downtime: info.downtime!,
      processorSeconds: cost() - before,
    };
  } finally {
    await Promise.all([source.end(), destination.end()]);
  }
}
