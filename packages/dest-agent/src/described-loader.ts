import {
  BLOCK_SECTION,
  BlockDecoder,
  limitExceeded,
  machineTypeMismatch,
  MigrationError,
} from "@peregrine/protocol";
import type { ByteReader, Configuration, Limits, PayloadDecoder, SectionHeader } from "@peregrine/protocol";
import { decoderFor } from "@peregrine/shared-state";
import type { DeviceListing, StateDecoder } from "@peregrine/shared-state";
import { BlockLoader } from "./block-loader.ts";
import { KnownBlocks } from "./guest-blocks.ts";
import { processClock } from "./incoming-statistics.ts";
import type { IncomingStatistics } from "./incoming-statistics.ts";
import type { Interruption } from "./interruption.ts";
import type { DescribedTarget, DeviceState } from "./load-target.ts";
import type { MachineLoader, Step } from "./machine-loader.ts";
import { SectionOrder } from "./section-order.ts";

export interface DescribedLoaderOptions {
  /** What the configuration section has to name. */
  readonly machineType: string;
  readonly devices: readonly DeviceListing[];
  /** Whether the machine has drives: without them nobody knows the section `block`. */
  readonly hasDrives: boolean;
  readonly limits: Limits;
  readonly target: DescribedTarget;
  readonly statistics: IncomingStatistics;
  readonly interruption: Interruption;
}

interface OpenDevice {
  readonly device: DeviceListing;
  readonly decoder: StateDecoder;
}

/**
 * Loads a machine that is known before its stream comes: every section has to fit it. An early device is loaded while
 * the decoder is suspended. The late ones come when the guest stands still and are loaded in one go when all are here:
 * each comes once at most, and is no larger than its description allows.
 */
export class DescribedLoader implements MachineLoader {
  readonly leaves = {};
  readonly holdsDevices = false;
  readonly #options: DescribedLoaderOptions;
  readonly #order: SectionOrder;
  #blocks: KnownBlocks | undefined;
  #drives: BlockLoader | undefined;
  #openDevice: OpenDevice | undefined;
  /** Of all devices. */
  #deviceBytes = 0;
  #prepared: Promise<void> | undefined;
  readonly #late: DeviceState[] = [];

  constructor(options: DescribedLoaderOptions) {
    this.#options = options;
    this.#order = new SectionOrder(options.devices);
  }

  /** Before the early devices there is nothing to be prepared. */
  get prepared(): Promise<void> | undefined {
    return this.#prepared;
  }

  configuration({ machineType }: Configuration): Step | undefined {
    if (machineType !== this.#options.machineType) {
      throw machineTypeMismatch(machineType, this.#options.machineType);
    }
    return this.#order.ramExists ? () => this.#openRam() : undefined;
  }

  openDevice(header: SectionHeader, suspendFor: (step: Step) => void): PayloadDecoder {
    const { devices, hasDrives } = this.#options;
    if (hasDrives && isBlock(header)) return this.#openBlock(header, suspendFor);
    const { name, instance, version, kind } = header;
    const decoder = decoderFor(devices, name, instance, version);
    const device = deviceOf(devices, header);
    this.#order.startDevice(device, kind);
    this.#openDevice = { device, decoder };
    return this.#bounded(decoder);
  }

  closeDevice(header: SectionHeader): Step | undefined {
    if (isBlock(header)) return this.#closeBlock(header);
    const open = this.#openDevice;
    this.#openDevice = undefined;
    return open && (() => this.#loadDevice(open));
  }

  startRam(header: SectionHeader): KnownBlocks {
    this.#order.startRam(header);
    if (this.#blocks === undefined) throw new MigrationError("INTERNAL", "guest memory is not open");
    return this.#blocks;
  }

  async ramStarted(): Promise<void> {
    // A machine that is known needs nothing of it.
  }

  endRam(): void {
    this.#order.endRam();
  }

  endMark(): void {
    this.#order.endMark();
  }

  vmDescription(): void {
    // For tools that look at streams. A loader knows its machine.
  }

  async complete(): Promise<void> {
    const { interruption } = this.#options;
    if (this.#prepared !== undefined) await interruption.wait(this.#prepared);
    void this.#loadLate();
    if (this.#drives !== undefined) await interruption.wait(this.#drives.complete());
  }

  async close(): Promise<void> {
    await this.#drives?.close();
  }

  /** What a description allows for each of them is far more in all than any machine has. */
  #bounded(decoder: StateDecoder): PayloadDecoder {
    const limit = this.#options.limits.maxDeviceBytes;
    return {
      get awaiting() {
        return decoder.awaiting;
      },
      decode: (input: ByteReader) => {
        const from = input.offset;
        const isComplete = decoder.decode(input);
        this.#deviceBytes += input.offset - from;
        if (this.#deviceBytes > limit)
          throw limitExceeded("bytes of device sections", this.#deviceBytes, limit);
        return isComplete;
      },
    };
  }

  #openBlock(header: SectionHeader, suspendFor: (step: Step) => void): BlockDecoder {
    this.#order.startBlock(header);
    const { target } = this.#options;
    const loader = new BlockLoader({
      openDrives: () => target.openDrives(),
      suspendFor,
      progress: (percent) => target.drivesProgress(percent),
    });
    this.#drives = loader;
    suspendFor(() => loader.open());
    return new BlockDecoder(loader);
  }

  #closeBlock({ kind }: SectionHeader): Step | undefined {
    if (kind !== "end") return undefined;
    this.#order.endBlock();
    return () => this.#drives!.written();
  }

  async #loadDevice({ device, decoder }: OpenDevice): Promise<void> {
    const { name } = device.description;
    const state = { name, instance: device.instance, value: decoder.value };
    if (device.early) await this.#options.target.loadDevices([state]);
    else this.#late.push(state);
    this.#order.deviceLoaded(device);
    if (device.early && this.#order.ramExists) await this.#openRam();
  }

  /** Whether they could be loaded shows when leave is asked for to tell the source so. Never rejects. */
  async #loadLate(): Promise<void> {
    const { target, statistics, interruption } = this.#options;
    const start = processClock();
    try {
      await target.loadDevices(this.#late);
      statistics.lateDevicesLoaded(processClock() - start);
    } catch (error) {
      interruption.interrupt(MigrationError.from(error));
    }
  }

  async #openRam(): Promise<void> {
    const { target, interruption } = this.#options;
    this.#blocks = new KnownBlocks(await target.openRam());
    this.#prepared = target.prepared();
    this.#prepared.catch((error: unknown) => {
      interruption.interrupt(MigrationError.from(error));
    });
  }
}

function isBlock({ name, instance }: SectionHeader): boolean {
  return name === BLOCK_SECTION.name && instance === BLOCK_SECTION.instance;
}

function deviceOf(devices: readonly DeviceListing[], { name, instance }: SectionHeader): DeviceListing {
  const device = devices.find((entry) => entry.description.name === name && entry.instance === instance);
  if (device === undefined) throw new MigrationError("INTERNAL", `the device '${name}' has no listing`);
  return device;
}
