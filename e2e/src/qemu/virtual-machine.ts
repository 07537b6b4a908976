import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { QmpClient } from "@peregrine/monitor";
import { Output } from "../output.ts";
import type { QemuRelease } from "./releases.ts";

/** Guest memory, unless said otherwise, MiB. */
const MEMORY_MIB = 16;

/** How often a condition is looked at that nobody reports, ms. */
export const LOOK_MS = 10;

export type Transport = "unix" | "tcp";

export interface MachineOptions {
  readonly release: QemuRelease;
  /** Machine type, as for `-machine`. */
  readonly type: string;
  /** The disk that it starts from. */
  readonly disk: string;
  /** More options, for devices. */
  readonly devices: readonly string[];
  readonly uuid?: string;
  /** Guest memory that is no file, as most people have it, with so many MiB. Default: a file of 16 MiB. */
  readonly anonymousMib?: number;
  /** `incoming`: a migration is to come. `held`: also, and the guest stands still when it has arrived. */
  readonly mode: "boot" | "incoming" | "held";
  /** What its command is started with, for another network. */
  readonly prefix?: readonly string[];
}

/** What `query-migrate` tells. */
export interface MigrationInfo {
  readonly status?: string;
  readonly "error-desc"?: string;
  readonly ram?: Readonly<Record<string, number>>;
  readonly "xbzrle-cache"?: Readonly<Record<string, number>>;
  /** Where a migration is awaited. */
  readonly "socket-address"?: readonly { readonly port?: string }[];
}

/** Capabilities and parameters of a migration, in QEMU's names. */
export interface MigrationSettings {
  readonly capabilities?: readonly string[];
  readonly parameters?: Readonly<Record<string, string | number>>;
}

/** A running `qemu-system-x86_64`. Its serial port is its standard output, its memory a file. */
export class VirtualMachine {
  readonly name: string;
  /** Whether its guest stands still when it has arrived. */
  readonly held: boolean;
  readonly serial: Output;
  readonly stderr: Output;
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;
  readonly #memory: string;
  readonly #socket: string;
  #monitor: QmpClient | undefined;
  /** Why the program could not be started. */
  #notStarted: string | undefined;

  constructor(directory: string, name: string, options: MachineOptions) {
    this.name = name;
    this.held = options.mode === "held";
    this.#memory = join(directory, `${name}.ram`);
    this.#socket = join(directory, `${name}.qmp`);
    // It ends with this process, also when that is killed.
    const command = [
      "--pdeathsig",
      "KILL",
      ...(options.prefix ?? []),
      options.release.binary,
      ...this.#arguments(options),
    ];
    this.#child = spawn("setpriv", command, { stdio: ["ignore", "pipe", "pipe"] });
    this.serial = new Output(this.#child.stdout!);
    this.stderr = new Output(this.#child.stderr!);
    this.ended = once(this.#child, "close").catch((error: Error) => {
      this.#notStarted = error.message;
    });
  }

  #arguments({ release, type, disk, devices, uuid, anonymousMib, mode }: MachineOptions): string[] {
    const mib = anonymousMib ?? MEMORY_MIB;
    const backend =
      anonymousMib === undefined
        ? `memory-backend-file,mem-path=${this.#memory},share=on`
        : "memory-backend-ram";
    // As libvirt does it: the RAM block has the backend's name whatever the machine type.
    const memory = `${backend},id=pc.ram,size=${mib}M,x-use-canonical-path-for-ramblock-id=off`;
    return [
      release.options,
      ["-no-user-config", "-nodefaults", "-display", "none", "-accel", "tcg"],
      ["-machine", `${type},memory-backend=pc.ram`, "-m", `${mib}M`, "-object", memory],
      ["-drive", `if=none,id=boot,format=raw,file=${disk}`, "-device", "ide-hd,drive=boot,bootindex=0"],
      ["-chardev", "stdio,id=serial,signal=off", "-device", "isa-serial,chardev=serial"],
      ["-qmp", `unix:${this.#socket},server=on,wait=off`],
      devices,
      uuid === undefined ? [] : ["-uuid", uuid],
      mode === "boot" ? [] : ["-incoming", "defer"],
      mode === "held" ? ["-S"] : [],
    ].flat();
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined;
  }

  /** Resolves once the monitor answers. Errors: when QEMU ends before, or is another release. */
  async ready({ version }: QemuRelease): Promise<this> {
    while (this.#monitor === undefined) {
      try {
        this.#monitor = await QmpClient.connect(`unix:${this.#socket}`);
      } catch (error) {
        if (this.hasEnded) throw await this.#gone(error);
        await delay(LOOK_MS);
      }
    }
    const { major, minor } = this.#monitor.version.qemu;
    if (`${major}.${minor}` !== version) throw new Error(`this is QEMU ${major}.${minor}, not ${version}`);
    return this;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** When the next event of that name was taken from the monitor, `performance.now()`. */
  momentOf(name: string): Promise<number> {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.#monitor!.events.subscribe(({ event }) => {
      if (event === name) resolve(performance.now());
    });
    return promise;
  }

  async execute<T>(command: string, args?: Readonly<Record<string, unknown>>): Promise<T> {
    return (await this.#monitor!.execute(command, args)) as T;
  }

  async configure({ capabilities = [], parameters = {} }: MigrationSettings): Promise<void> {
    if (capabilities.length > 0) {
      await this.execute("migrate-set-capabilities", {
        capabilities: capabilities.map((capability) => ({ capability, state: true })),
      });
    }
    if (Object.keys(parameters).length > 0) await this.execute("migrate-set-parameters", parameters);
  }

  /** Waits for a migration. @returns where. */
  async listen(transport: Transport = "unix", host = "127.0.0.1"): Promise<string> {
    const uri = transport === "tcp" ? `tcp:${host}:0` : `unix:${this.#memory}.in`;
    await this.execute("migrate-incoming", { uri });
    if (transport === "unix") return uri;
    const info = await this.migration((one) => one["socket-address"] !== undefined);
    return `tcp:${host}:${info["socket-address"]![0]!.port}`;
  }

  /** Looks at the migration until `accept` says so. @returns what it saw. Errors: when the process ends before. */
  async migration(accept: (info: MigrationInfo) => boolean): Promise<MigrationInfo> {
    for (;;) {
      const info = await this.execute<MigrationInfo>("query-migrate").catch(async (error: unknown) => {
        throw await this.#gone(error);
      });
      if (accept(info)) return info;
      await delay(LOOK_MS);
    }
  }

  async status(): Promise<string> {
    return (await this.execute<{ status: string }>("query-status")).status;
  }

  async untilStatus(wanted: string): Promise<void> {
    while ((await this.status()) !== wanted) await delay(LOOK_MS);
  }

  /** Whole lines that the guest has printed here. */
  get printedLines(): number {
    return this.serial.text.split("\n").length - 1;
  }

  /** Waits until the guest has printed `count` lines here. Errors: when the process ends before. */
  async untilPrinted(count: number): Promise<void> {
    for (;;) {
      const change = this.serial.change();
      if (this.printedLines >= count) return;
      if (this.hasEnded) throw await this.#gone();
      await Promise.race([change, this.ended]);
    }
  }

  /** All guest memory. It is of one moment only while the guest stands still. */
  memory(): Promise<Buffer> {
    return readFile(this.#memory);
  }

  /** Ends the process if it still runs, and waits for it. */
  async end(): Promise<void> {
    await this.#monitor?.close();
    if (!this.hasEnded) this.#child.kill("SIGKILL");
    await this.ended;
  }

  /** Its last words, which are complete when it has ended. */
  async #gone(cause?: unknown): Promise<Error> {
    await this.ended;
    return new Error(`QEMU '${this.name}': ${this.#notStarted ?? this.stderr.text.trim()}`, { cause });
  }
}
