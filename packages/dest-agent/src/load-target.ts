import type { MigrationError, MigrationId } from "@peregrine/protocol";
import type {
  CarriedClosing,
  CarriedOpening,
  IncomingDrives,
  RamAccess,
  StateValue,
} from "@peregrine/shared-state";
import type { SourceExpectation } from "./incoming-options.ts";
import type { OpenedRam } from "./guest-blocks.ts";

/** The machine that a stream is loaded into, as every loader sees it. */
export interface LoadTarget {
  /**
   * Everything has come: waits for what is still being loaded, and for what else the guest has to have here. It can
   * still be called off.
   * @param migration that the source decides about when it hears of this.
   */
  accept(migration: MigrationId): Promise<void>;
  /**
   * The same, unless it was accepted before, and then: the guest is this side's as soon as the source is told so, and
   * nobody can call the load off any more. Rejects when somebody did before.
   * @param returnPath whether the source waits to be told.
   * @returns why it is not known here who has the guest, where that is decided elsewhere: the source is told nothing then.
   */
  commit(returnPath: boolean): Promise<MigrationError | undefined>;
}

/** What came for one device. */
export interface DeviceState {
  readonly name: string;
  readonly instance: number;
  readonly value: StateValue;
}

/** A machine that is known before its stream comes. */
export interface DescribedTarget {
  /** Loads devices, one after the other. Errors: DEVICE_STATE. */
  loadDevices(devices: readonly DeviceState[]): Promise<void>;
  /** Guest memory. Called once, when every early device is loaded. */
  openRam(): Promise<OpenedRam>;
  /** The machine's drives. Called once, when contents of theirs begin to come. Errors: those of opening them. */
  openDrives(): Promise<IncomingDrives>;
  /** How much of the first pass over the drives has come, in percent. */
  drivesProgress(percent: number): void;
  /** Resolves when the machine needs nothing any more but the late devices. Called once, after `openRam`. */
  prepared(): Promise<void>;
}

/** A machine that is made of what its stream says; see MachineIntake. The payloads belong to the callee. */
export interface CarriedTarget {
  opened(opening: CarriedOpening, ram: RamAccess, source: SourceExpectation): Promise<void>;
  closed(closing: CarriedClosing): Promise<void>;
}
