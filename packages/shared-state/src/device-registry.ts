import { ByteWriter, MigrationError, unknownSection, unsupportedSectionVersion } from "@peregrine/protocol";
import type { VmDeviceDescription } from "@peregrine/protocol";
import { StateDecoder } from "./state-decode.ts";
import type { StateDescription, StateValue } from "./state-description.ts";
import { describeState, encodeState } from "./state-encode.ts";

/** A part of a machine whose state travels as one section, named by its description. */
export interface Device {
  readonly description: StateDescription;
  /** Tells apart several devices of one name. */
  readonly instance: number;
  /** Sent before RAM, while the guest runs: state that does not change and that the destination prepares from. */
  readonly early: boolean;
  /** Whether this guest has it, for a device that not every guest has: its section need not come. */
  isPresent?(): boolean;
  save(): StateValue | Promise<StateValue>;
  /**
   * Of a late device: a state like the one that is saved when the guest stands still, while it runs. Without this
   * everything that saving takes is done for the first time then.
   */
  example?(): StateValue | Promise<StateValue>;
  load(value: StateValue): void | Promise<void>;
}

/** When a device is sent: before the first page, or after the last one. */
export type DevicePhase = "early" | "late";

/** A device's state, ready to be sent as a FULL section. */
export interface SavedDevice {
  readonly name: string;
  readonly instance: number;
  readonly version: number;
  /** In a buffer of its own, which can be transferred to another thread. */
  readonly payload: Uint8Array<ArrayBuffer>;
  /** The section's entry in the vmdescription. */
  readonly description: VmDeviceDescription;
}

/** What another thread needs to decode a device's section. Plain data. */
export interface DeviceListing {
  readonly description: StateDescription;
  readonly instance: number;
  readonly early: boolean;
  readonly optional: boolean;
}

/** The devices of one machine, in the order in which their sections are sent. */
export class DeviceRegistry {
  readonly #devices: Device[] = [];
  readonly #unmigratable: { readonly name: string; readonly reason: string | undefined }[] = [];

  /** Errors: INTERNAL when there is such a device already. */
  register(device: Device): void {
    const { name } = device.description;
    if (this.find(name, device.instance) !== undefined) {
      throw new MigrationError("INTERNAL", `the device '${name}' ${device.instance} is registered twice`);
    }
    this.#devices.push(device);
  }

  find(name: string, instance: number): Device | undefined {
    return this.#devices.find((device) => device.description.name === name && device.instance === instance);
  }

  /** Saves the devices of one phase, one after the other. Errors: DEVICE_STATE, naming the device. */
  async saveAll(phase: DevicePhase): Promise<SavedDevice[]> {
    const saved: SavedDevice[] = [];
    const writer = new ByteWriter();
    for (const device of this.#devices) {
      if (device.early !== (phase === "early") || device.isPresent?.() === false) continue;
      try {
        saved.push(encodeDevice(device, await device.save(), writer));
      } catch (cause) {
        throw deviceError(device, "save", cause);
      }
    }
    return saved;
  }

  /** Encodes the late devices in vain, so that it is not done for the first time when the guest stands still. */
  async rehearse(): Promise<void> {
    const writer = new ByteWriter();
    for (const device of this.#devices) {
      if (device.early || device.example === undefined) continue;
      try {
        encodeDevice(device, await device.example(), writer);
      } catch {
        // What is wrong with a device that is not an example is found when it is saved.
      }
    }
  }

  /** Every device, for {@link decoderFor} in another thread. */
  descriptions(): DeviceListing[] {
    return this.#devices.map((device) => {
      const { description, instance, early } = device;
      return { description, instance, early, optional: device.isPresent !== undefined };
    });
  }

  /** Errors: UNKNOWN_SECTION; BAD_DRIVE; LIMIT_EXCEEDED; DEVICE_STATE for everything else that the device throws. */
  async load(name: string, instance: number, value: StateValue): Promise<void> {
    const device = this.find(name, instance);
    if (device === undefined) throw unknownSection(name, instance);
    try {
      await device.load(value);
    } catch (cause) {
      throw deviceError(device, "load", cause);
    }
  }

  /** Keeps the machine from being migrated, for good. `reason` is added to the refusal. */
  markUnmigratable(name: string, reason?: string): void {
    this.#unmigratable.push({ name, reason });
  }

  /** With which words a migration is refused, if one of the devices cannot be migrated. */
  get unmigratable(): string | undefined {
    const [first] = this.#unmigratable;
    if (first === undefined) return undefined;
    const refusal = `State blocked by non-migratable device '${first.name}'`;
    return first.reason === undefined ? refusal : `${refusal}: ${first.reason}`;
  }

  /** The same for each of them, in the words of `query-migrate`. */
  get blockedReasons(): readonly string[] {
    return this.#unmigratable.map(({ name, reason }) => {
      const text = `non-migratable device: ${name}`;
      return reason === undefined ? text : `${text}: ${reason}`;
    });
  }
}

/**
 * The decoder for the payload of a device's section.
 * Errors: UNKNOWN_SECTION; UNSUPPORTED_SECTION_VERSION for any version but the description's.
 */
export function decoderFor(
  devices: readonly DeviceListing[],
  name: string,
  instance: number,
  version: number,
): StateDecoder {
  const device = devices.find((entry) => entry.description.name === name && entry.instance === instance);
  if (device === undefined) throw unknownSection(name, instance);
  const { description } = device;
  if (version !== description.version) throw unsupportedSectionVersion(name, version, description.version);
  return new StateDecoder(description);
}

function encodeDevice({ description, instance }: Device, value: StateValue, writer: ByteWriter): SavedDevice {
  writer.reset();
  encodeState(description, value, writer);
  const payload = writer.view().slice();
  const { name, version } = description;
  return { name, instance, version, payload, description: describeState(description, value, instance) };
}

const AS_THEY_ARE: ReadonlySet<string> = new Set(["BAD_DRIVE", "LIMIT_EXCEEDED"]);

function deviceError(device: Device, verb: "save" | "load", cause: unknown): MigrationError {
  // Whoever started the destination named the drives and how much it takes, and can do so otherwise.
  if (MigrationError.is(cause) && AS_THEY_ARE.has(cause.code)) return cause;
  const { name } = device.description;
  const reason = MigrationError.from(cause).message;
  const message = `The device '${name}' ${device.instance} could not ${verb} its state: ${reason}`;
  return new MigrationError("DEVICE_STATE", message, { cause, section: name });
}
