import { copyFile, mkdtemp, rm, truncate } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Host, type PeregrineProcess } from "../agent-process.ts";
import { EDGE_BOOT_SECTOR } from "./edge-guest.ts";
import { type MachineOptions, type Transport, VirtualMachine } from "./virtual-machine.ts";

/** Firmware looks for boot sectors only on disks of some size. */
const DISK_BYTES = 1 << 20;

/** What an agent waits for. */
interface Expected {
  /** Channels beside the main one. Default: none. */
  readonly channels?: number;
  /** Default: unix. */
  readonly transport?: Transport;
}

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

  /** Starts `peregrine receive --machine image`; resolves when it waits for a source. */
  receiveImage(
    { channels = 0, transport = "unix" }: Expected,
    options: readonly string[] = [],
  ): ReturnType<Host["receive"]> {
    const multifd = channels === 0 ? [] : ["--parallel", `${channels}`];
    return this.host.receive(transport, ["--machine", "image", ...multifd, ...options]);
  }

  /** Starts `peregrine relay`; resolves when it waits for a source. */
  async relay(
    to: string,
    { channels = 0, transport = "unix" }: Expected,
    options: readonly string[] = [],
  ): Promise<{ readonly agent: PeregrineProcess; readonly uri: string }> {
    const name = "relay";
    const from = transport === "tcp" ? "tcp:127.0.0.1:0" : `unix:${join(this.directory, name)}`;
    const multifd = channels === 0 ? [] : ["--intake-parallel", `${channels}`];
    const agent = this.host.start(["relay", from, to, "--name", name, ...multifd, ...options], name);
    const [, uri] = await agent.until("stderr", /is awaited on (\S+)/);
    return { agent, uri: uri! };
  }

  /** Runs a command of `peregrine`. @returns what it printed. Errors: when it does not end with status 0. */
  async peregrine(...args: readonly string[]): Promise<string> {
    const command = this.host.start(args);
    const { status } = await command.ended;
    if (status !== 0) throw new Error(command.stderr.text);
    return command.stdout.text;
  }

  /** Runs `peregrine migrate`. Errors: when it does not end with status 0. */
  async migrate(agent: PeregrineProcess, uri: string, options: readonly string[] = []): Promise<void> {
    await this.peregrine("migrate", agent.name, uri, ...options);
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
