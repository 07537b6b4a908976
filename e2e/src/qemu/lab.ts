import { copyFile, mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Host } from "../agent-process.ts";
import { EDGE_BOOT_SECTOR } from "./edge-guest.ts";
import { type MachineOptions, VirtualMachine } from "./virtual-machine.ts";

/** Firmware looks for boot sectors only on disks of some size. */
const DISK_BYTES = 1 << 20;

type Start = Omit<MachineOptions, "disk" | "devices" | "mode"> & { readonly devices?: boolean };

/** A folder with the disks that its machines share, and agents. Everything ends with the test, in whatever way that ends. */
export class Lab {
  readonly directory: string;
  /** Where its agents run. */
  readonly host: Host;
  readonly #machines: VirtualMachine[] = [];

  private constructor(directory: string, host: Host) {
    this.directory = directory;
    this.host = host;
  }

  /** `onTestFinished` is that of the test's context. */
  static async create(onTestFinished: (end: () => Promise<void>) => void): Promise<Lab> {
    const directory = await mkdtemp(join(tmpdir(), "peregrine-qemu-"));
    const lab = new Lab(directory, await Host.create());
    onTestFinished(() => lab.#end());
    for (const disk of ["boot.img", "data.img"]) {
      await copyFile(EDGE_BOOT_SECTOR, join(directory, disk));
      await truncate(join(directory, disk), DISK_BYTES);
    }
    return lab;
  }

  async #end(): Promise<void> {
    await Promise.all([...this.#machines.map((machine) => machine.end()), this.host[Symbol.asyncDispose]()]);
    await rm(this.directory, { recursive: true });
  }

  /** A name of a socket in the lab's folder. */
  unix(name: string): string {
    return `unix:${join(this.directory, name)}`;
  }

  /** Starts a machine; resolves once its monitor answers. */
  async start(mode: MachineOptions["mode"], { devices = false, ...options }: Start): Promise<VirtualMachine> {
    const machine = new VirtualMachine(this.directory, `${mode}${this.#machines.length}`, {
      ...options,
      mode,
      disk: join(this.directory, "boot.img"),
      devices: devices ? this.#devices() : [],
    });
    this.#machines.push(machine);
    return machine.ready(options.release);
  }

  /** A disk and a network interface that the guest does not use. */
  #devices(): string[] {
    const disk = join(this.directory, "data.img");
    return [
      ["-drive", `if=none,id=data,format=raw,file=${disk}`, "-device", "virtio-blk-pci,drive=data"],
      ["-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="],
    ].flat();
  }
}
