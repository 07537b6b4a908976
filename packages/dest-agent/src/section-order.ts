import {
  BLOCK_SECTION,
  GLOBAL_STATE_SECTION,
  MigrationError,
  RAM_SECTION,
  unsupportedSectionVersion,
} from "@peregrine/protocol";
import type { SectionHeader } from "@peregrine/protocol";
import type { DeviceListing } from "@peregrine/shared-state";

/**
 * What may come next: the early devices, then `ram` from START to END, then every other device. A late
 * device is only complete with the RAM that was there when the guest was stopped.
 */
type Stage = "early-devices" | "ram-start" | "ram" | "late-devices" | "ended";

/** Follows which sections of a machine have come, and refuses the ones that are out of turn. */
export class SectionOrder {
  readonly #devices: readonly DeviceListing[];
  readonly #loaded = new Set<DeviceListing>();
  #stage: Stage;
  #drives: "to-come" | "open" | "ended" = "to-come";

  constructor(devices: readonly DeviceListing[]) {
    this.#devices = devices;
    this.#stage = devices.some(isEarly) ? "early-devices" : "ram-start";
  }

  /** Whether guest memory exists: every early device is loaded. */
  get ramExists(): boolean {
    return this.#stage !== "early-devices";
  }

  /** START of `block` begins. Errors: UNSUPPORTED_SECTION_VERSION, BAD_SECTION_ORDER. */
  startBlock({ kind, name, version }: SectionHeader): void {
    if (version !== BLOCK_SECTION.version) {
      throw unsupportedSectionVersion(name, version, BLOCK_SECTION.version);
    }
    if (kind !== "start") throw outOfOrder(`Section '${name}' came in one piece instead of by START`);
    if (this.#drives !== "to-come") throw outOfOrder(`Section '${name}' was started twice`);
    if (this.#stage === "early-devices") {
      throw outOfOrder(`Section '${name}' came before '${this.#missing(isEarly)}'`);
    }
    if (this.#stage !== "ram-start") {
      throw outOfOrder(`Section '${name}' came after the start of section '${RAM_SECTION.name}'`);
    }
    this.#drives = "open";
  }

  /** `block` END is complete. */
  endBlock(): void {
    this.#drives = "ended";
  }

  /** `ram` START begins. Errors: UNSUPPORTED_SECTION_VERSION, BAD_SECTION_ORDER. */
  startRam({ kind, name, version }: SectionHeader): void {
    if (version !== RAM_SECTION.version) {
      throw unsupportedSectionVersion(name, version, RAM_SECTION.version);
    }
    if (kind !== "start") throw outOfOrder(`Section '${name}' came in one piece instead of by START`);
    switch (this.#stage) {
      case "early-devices":
        throw outOfOrder(`Section '${name}' came before '${this.#missing(isEarly)}'`);
      case "ram-start":
        this.#stage = "ram";
        return;
      default:
        throw outOfOrder(`Section '${name}' was started twice`);
    }
  }

  /** `ram` END is complete. */
  endRam(): void {
    this.#stage = "late-devices";
  }

  /** The section of a device begins. Errors: BAD_SECTION_ORDER. */
  startDevice(device: DeviceListing, kind: SectionHeader["kind"]): void {
    const { name } = device.description;
    if (kind !== "full") throw outOfOrder(`Section '${name}' came by START instead of in one piece`);
    if (this.#loaded.has(device)) {
      throw outOfOrder(`Section '${name}' ${device.instance} came twice`);
    }
    if (!device.early && this.#stage !== "late-devices") {
      throw outOfOrder(`Section '${name}' came before the end of section '${RAM_SECTION.name}'`);
    }
  }

  /** The device is loaded. */
  deviceLoaded(device: DeviceListing): void {
    this.#loaded.add(device);
    if (this.#stage === "early-devices" && this.#missing(isEarly) === undefined) this.#stage = "ram-start";
  }

  /** The end mark was read. Errors: BAD_SECTION_ORDER, naming a section that did not come. */
  endMark(): void {
    const missing =
      this.#missing(isEarly) ?? this.#missingBlock() ?? this.#missingRam() ?? this.#missing(isRequired);
    if (missing !== undefined) throw outOfOrder(`The stream ended without section '${missing}'`);
    this.#stage = "ended";
  }

  #missingBlock(): string | undefined {
    return this.#drives === "open" ? `${BLOCK_SECTION.name}' END` : undefined;
  }

  #missingRam(): string | undefined {
    switch (this.#stage) {
      case "ram-start":
        return RAM_SECTION.name;
      case "ram":
        return `${RAM_SECTION.name}' END`;
      default:
        return undefined;
    }
  }

  #missing(among: (device: DeviceListing) => boolean): string | undefined {
    const device = this.#devices.find((candidate) => among(candidate) && !this.#loaded.has(candidate));
    return device?.description.name;
  }
}

function isEarly({ early, optional }: DeviceListing): boolean {
  return early && !optional;
}

/** A source that does not send its run state was running. */
function isRequired({ description, optional }: DeviceListing): boolean {
  return !optional && description.name !== GLOBAL_STATE_SECTION.name;
}

function outOfOrder(message: string): MigrationError {
  return new MigrationError("BAD_SECTION_ORDER", message);
}
