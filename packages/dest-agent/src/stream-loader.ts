import {
  commandCode,
  machineTypeMismatch,
  MigrationError,
  RAM_SECTION,
  RamDecoder,
  StreamDecoder,
  WIRE_PAGE_SIZE,
} from "@peregrine/protocol";
import type {
  Command,
  Configuration,
  Limits,
  PayloadDecoder,
  SectionHeader,
  StreamHandler,
} from "@peregrine/protocol";
import { decoderFor } from "@peregrine/shared-state";
import type { DeviceListing, StateDecoder } from "@peregrine/shared-state";
import { unsupportedCommand } from "./command-names.ts";
import { processClock } from "./incoming-statistics.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import type { Interruption } from "./interruption.ts";
import type { LoadTarget } from "./load-target.ts";
import { RamLoader } from "./ram-loader.ts";
import type { ReturnPath } from "./return-path.ts";
import { SectionOrder } from "./section-order.ts";

const PAGE_BITS = Math.log2(WIRE_PAGE_SIZE);

export interface StreamLoaderOptions {
  /** What the configuration section has to name. */
  readonly machineType: string;
  readonly devices: readonly DeviceListing[];
  readonly limits: Limits;
  readonly target: LoadTarget;
  readonly returnPath: ReturnPath;
  readonly statistics: IncomingStatistics;
  readonly interruption: Interruption;
}

interface OpenDevice {
  readonly device: DeviceListing;
  readonly decoder: StateDecoder;
}

/**
 * Loads a stream into a machine as it is decoded. Pages are written at once. A device is loaded while the
 * decoder is suspended, so one section at most is held in memory.
 */
export class StreamLoader implements StreamHandler {
  readonly #options: StreamLoaderOptions;
  readonly #order: SectionOrder;
  readonly #decoder: StreamDecoder;
  #ram: RamLoader | undefined;
  #openDevice: OpenDevice | undefined;
  /** What has to be done before decoding goes on. */
  #step: (() => Promise<void>) | undefined;
  #prepared: Promise<void> | undefined;
  #end: "to-come" | "end-mark" | "description" = "to-come";

  constructor(options: StreamLoaderOptions) {
    this.#options = options;
    this.#order = new SectionOrder(options.devices);
    this.#decoder = new StreamDecoder({ limits: options.limits, handler: this });
  }

  /** How far the stream is: not at its end mark, at it, or behind the vmdescription that follows it. */
  get end(): "to-come" | "end-mark" | "description" {
    return this.#end;
  }

  /** Loads what the chunk completes; resolves when the chunk is consumed and all that it asked for is done. */
  async push(chunk: Uint8Array): Promise<void> {
    let consumed = this.#decoder.push(chunk);
    while (!consumed) {
      const step = this.#step;
      this.#step = undefined;
      if (step !== undefined) await this.#options.interruption.wait(step());
      consumed = this.#decoder.resume();
    }
  }

  /** The stream has ended. Errors: TRUNCATED. */
  streamEnded(): void {
    this.#decoder.end();
  }

  /** The machine has everything that it needs to be started. After the end mark. */
  async prepared(): Promise<void> {
    if (this.#prepared !== undefined) await this.#options.interruption.wait(this.#prepared);
  }

  configuration({ machineType, targetPageBits, capabilities }: Configuration): void {
    if (machineType !== this.#options.machineType) {
      throw machineTypeMismatch(machineType, this.#options.machineType);
    }
    if (targetPageBits !== undefined && targetPageBits !== PAGE_BITS) {
      const text = `Page size received is 2^${targetPageBits} bytes and local is 2^${PAGE_BITS}`;
      throw new MigrationError("BAD_SECTION", text);
    }
    const [capability] = capabilities ?? [];
    if (capability !== undefined) {
      throw new MigrationError("BAD_SECTION", `Capability '${capability}' is on at the source, but not here`);
    }
    if (this.#order.ramExists) this.#suspendFor(() => this.#openRam());
  }

  open(header: SectionHeader): PayloadDecoder {
    const { name, instance, version, kind } = header;
    if (name === RAM_SECTION.name && instance === RAM_SECTION.instance) {
      this.#order.startRam(header);
      return new RamDecoder({ limits: this.#options.limits, sink: this.#loadedRam() });
    }
    const { devices } = this.#options;
    const decoder = decoderFor(devices, name, instance, version);
    const device = deviceOf(devices, header);
    this.#order.startDevice(device, kind);
    this.#openDevice = { device, decoder };
    return decoder;
  }

  close({ kind }: SectionHeader): void {
    const open = this.#openDevice;
    this.#openDevice = undefined;
    if (open !== undefined) {
      this.#suspendFor(() => this.#loadDevice(open));
    } else if (kind === "end") {
      this.#loadedRam().requireBlockList();
      this.#order.endRam();
    }
  }

  command(command: Command): void {
    const { returnPath } = this.#options;
    switch (command.kind) {
      case "open-return-path":
        returnPath.open();
        return;
      case "ping":
        // Before the early devices there is nothing to be prepared, behind them the answer waits for it.
        returnPath.pong(command.value, this.#prepared);
        return;
      default:
        throw unsupportedCommand(commandCode(command));
    }
  }

  endMark(): void {
    this.#order.endMark();
    this.#options.statistics.endMark();
    this.#end = "end-mark";
  }

  vmDescription(): void {
    // For tools that look at streams. A loader knows its machine.
    this.#end = "description";
  }

  #suspendFor(step: () => Promise<void>): void {
    this.#step = step;
    this.#decoder.suspend();
  }

  async #loadDevice({ device, decoder }: OpenDevice): Promise<void> {
    const { target, statistics } = this.#options;
    const { description, instance, early } = device;
    if (!early) await this.#prepared;
    const start = processClock();
    await target.loadDevice(description.name, instance, decoder.value);
    if (!early) statistics.addLateDevice(processClock() - start);
    this.#order.deviceLoaded(device);
    if (early && this.#order.ramExists) await this.#openRam();
  }

  async #openRam(): Promise<void> {
    const { target, statistics, interruption } = this.#options;
    this.#ram = new RamLoader(await target.openRam(), statistics);
    this.#prepared = target.prepared();
    this.#prepared.catch((error: unknown) => {
      interruption.interrupt(MigrationError.from(error));
    });
  }

  #loadedRam(): RamLoader {
    if (this.#ram === undefined) throw new MigrationError("INTERNAL", "guest memory is not open");
    return this.#ram;
  }
}

function deviceOf(devices: readonly DeviceListing[], { name, instance }: SectionHeader): DeviceListing {
  const device = devices.find((entry) => entry.description.name === name && entry.instance === instance);
  if (device === undefined) throw new MigrationError("INTERNAL", `the device '${name}' has no listing`);
  return device;
}
