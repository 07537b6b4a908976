import { limitExceeded } from "@peregrine/protocol";
import type { CutBy, Limits, SectionHeader, VmDescription, VmDeviceDescription } from "@peregrine/protocol";

/** A device section whose payload is kept. */
export interface StoredDevice {
  readonly header: SectionHeader;
  readonly payload: Uint8Array;
  readonly cutBy: CutBy;
}

/** Sections that are kept. Real machines have some hundred. */
const MOST_DEVICES = 65_536;

/** Keeps device sections until the vmdescription, which comes last, tells what is in them. */
export class DeviceStore {
  readonly devices: StoredDevice[] = [];
  description: VmDescription | undefined;
  readonly #limits: Limits;
  readonly #wants: (header: SectionHeader) => boolean;
  #bytes = 0;

  /** @param wants whether a section is to be kept. Default: all are. */
  constructor(limits: Limits, wants: (header: SectionHeader) => boolean = () => true) {
    this.#limits = limits;
    this.#wants = wants;
  }

  /** Copies the payload. Errors: LIMIT_EXCEEDED. */
  add(header: SectionHeader, payload: Uint8Array, cutBy: CutBy): void {
    if (!this.#wants(header)) return;
    this.#bytes += payload.length;
    const { maxDeviceTailBytes: mostBytes } = this.#limits;
    if (this.#bytes > mostBytes) throw limitExceeded("bytes of device sections", this.#bytes, mostBytes);
    if (this.devices.length >= MOST_DEVICES) {
      throw limitExceeded("device sections", this.devices.length + 1, MOST_DEVICES);
    }
    this.devices.push({ header, payload: new Uint8Array(payload), cutBy });
  }

  /** The entry of the vmdescription for a section. */
  describedAs({ name, instance }: SectionHeader): VmDeviceDescription | undefined {
    return this.description?.devices.find(
      (device) => device.name === name && device.instance_id === instance,
    );
  }
}

/** How a section is named for a person: `timer`, or `serial/1` for an instance that is not the first. */
export function sectionName({ name, instance }: Pick<SectionHeader, "name" | "instance">): string {
  return instance === 0 ? name : `${name}/${instance}`;
}
