import { MigrationError } from "@peregrine/protocol";
import type { Configuration, Limits, OpaqueDevice, SectionHeader } from "@peregrine/protocol";
import type { OpaqueSection, RamBuilder, StreamEnding } from "@peregrine/shared-state";
import { CarriedOrder } from "./carried-order.ts";
import { BuiltBlocks } from "./guest-blocks.ts";
import type { Interruption } from "./interruption.ts";
import type { CarriedTarget } from "./load-target.ts";
import type { MachineLoader, StreamHead } from "./machine-loader.ts";

export interface CarriedLoaderOptions {
  readonly builder: RamBuilder;
  readonly limits: Limits;
  readonly target: CarriedTarget;
  readonly interruption: Interruption;
}

/** Takes in a machine of any type and age. Its devices are kept as bytes. */
export class CarriedLoader implements MachineLoader {
  readonly leaves = { configuration: "optional", footers: "detected" } as const;
  readonly holdsDevices = true;
  readonly prepared = undefined;
  readonly #options: CarriedLoaderOptions;
  readonly #order = new CarriedOrder();
  readonly #blocks: BuiltBlocks;
  readonly #early: OpaqueSection[] = [];
  readonly #late: OpaqueSection[] = [];
  #configuration: Configuration | undefined;
  /** Bytes of all payloads. */
  #bytes = 0;
  #ending: StreamEnding = { kind: "end-mark" };
  #closed = false;

  constructor(options: CarriedLoaderOptions) {
    this.#options = options;
    this.#blocks = new BuiltBlocks(options.builder);
  }

  configuration(configuration: Configuration): undefined {
    this.#configuration = withoutPlaces(configuration);
  }

  openDevice(header: SectionHeader): OpaqueDevice {
    this.#order.startDevice(header);
    return {
      payload: (payload) => {
        this.#keep(header, payload);
      },
      undivided: (bytes) => {
        this.#keep(header, bytes);
        this.#ending = { kind: "undivided" };
      },
    };
  }

  closeDevice(): undefined {
    return undefined;
  }

  startRam(header: SectionHeader): BuiltBlocks {
    this.#order.startRam(header);
    return this.#blocks;
  }

  /** Errors: LOAD_FAILED when multifd channels belong to another machine; those of the target. */
  async ramStarted({ footers, returnPath, asksHandOver, uuid }: StreamHead): Promise<void> {
    const configuration = this.#configuration;
    if (uuid !== undefined && configuration?.uuid !== undefined) requireSame(uuid, configuration.uuid);
    const opening = { configuration, footers, early: this.#early, uuid: uuid ?? configuration?.uuid };
    await this.#options.target.opened(opening, this.#options.builder.access(), {
      returnPath,
      asksHandOver,
    });
    this.#blocks.handedOut();
  }

  endRam(): void {
    this.#order.endRam();
  }

  endMark(): void {
    this.#order.endMark();
  }

  vmDescription(text: string): void {
    if (this.#closed) throw new MigrationError("UNEXPECTED_DATA", "The vmdescription came too late");
    this.#ending = { kind: "described", text };
  }

  async complete(): Promise<void> {
    this.#closed = true;
    const { target, interruption } = this.#options;
    await interruption.wait(target.closed({ late: this.#late, ending: this.#ending }));
  }

  #keep({ name, instance, version }: SectionHeader, bytes: Uint8Array): void {
    const limit = this.#options.limits.maxDeviceTailBytes;
    this.#bytes += bytes.length;
    if (this.#bytes > limit) {
      const text = `${this.#bytes} bytes of device sections are more than the limit of ${limit}`;
      throw new MigrationError("LIMIT_EXCEEDED", text);
    }
    const sections = this.#order.early ? this.#early : this.#late;
    sections.push({ name, instance, version, payload: new Uint8Array(bytes) });
  }
}

function requireSame(channels: Uint8Array, configuration: Uint8Array): void {
  if (Buffer.compare(channels, configuration) === 0) return;
  const text = "The multifd channels belong to another virtual machine than the stream: their UUIDs differ";
  throw new MigrationError("LOAD_FAILED", text);
}

/** In a stream that goes on from here pages have no places in a file, whatever they had in the one that came. */
function withoutPlaces({ capabilities, ...configuration }: Configuration): Configuration {
  if (capabilities?.includes("mapped-ram") !== true) {
    return capabilities === undefined ? configuration : { ...configuration, capabilities };
  }
  const others = capabilities.filter((capability) => capability !== "mapped-ram");
  return others.length === 0 ? configuration : { ...configuration, capabilities: others };
}
