import { PAGE_SIZE } from "@peregrine/shared-state";
import type {
  CarriedClosing,
  CarriedOpening,
  Machine,
  OpaqueSection,
  SavedDevice,
} from "@peregrine/shared-state";

/**
 * What of a machine's stream is around guest memory: as it came, for a machine that carries it; for any other
 * made of its devices.
 */
export class StreamFrame {
  readonly #machine: Machine;
  #early: readonly SavedDevice[] = [];

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Errors: DEVICE_STATE. */
  async opening(): Promise<CarriedOpening> {
    const { carried, type, devices } = this.#machine;
    if (carried !== undefined) return carried.opening();
    this.#early = await devices.saveAll("early");
    return { configuration: { machineType: type }, footers: true, early: this.#early, uuid: undefined };
  }

  /** After {@link opening}; the guest stands still. Errors: DEVICE_STATE. */
  async closing(): Promise<CarriedClosing> {
    const { carried, devices } = this.#machine;
    if (carried !== undefined) return carried.closing();
    const late = await devices.saveAll("late");
    const described = [...this.#early, ...late].map(({ description }) => description);
    const text = JSON.stringify({ page_size: PAGE_SIZE, devices: described });
    return { late, ending: { kind: "described", text } };
  }

  /** Does in vain what {@link closing} does, while the guest runs: the first time takes longest. After {@link opening}. */
  async rehearseClosing(): Promise<void> {
    const { carried, devices } = this.#machine;
    if (carried === undefined) await devices.rehearse();
  }

  /** What another thread may have of these sections without a copy. */
  transferable(sections: readonly OpaqueSection[]): ArrayBuffer[] {
    return this.#machine.carried === undefined ? sections.map(({ payload }) => payload.buffer) : [];
  }
}
