import { MigrationCapabilities, MigrationParameters } from "@peregrine/shared-state";
import type { CapabilityStates, MigrationStatus, ParameterValues } from "@peregrine/shared-state";

/** What an outgoing migration is to be like. It outlives each attempt, and most of it takes effect at once. */
export abstract class OutgoingSettings {
  protected readonly parameters = new MigrationParameters();
  protected readonly capabilities = new MigrationCapabilities();

  /** Of the attempt that is under way, or the last one: capabilities do not change during one. */
  protected abstract get migrationStatus(): MigrationStatus;

  /** Has an attempt that is under way look at the parameters again. */
  protected abstract parametersChanged(): void;

  /** Bytes per second; 0 is unlimited, a negative value becomes 0. Takes effect at once. Errors: BAD_PARAMETER. */
  setSpeed(bytesPerSecond: number): void {
    this.parameters.setSpeed(bytesPerSecond);
    this.parametersChanged();
  }

  /** Tolerated downtime in seconds. Takes effect at once. Errors: BAD_PARAMETER. */
  setDowntime(seconds: number): void {
    this.parameters.setDowntime(seconds);
    this.parametersChanged();
  }

  /**
   * Size of the XBZRLE cache, rounded down to a power of two. Takes effect at once.
   * @param ramBytes of the guest's memory, the most that is accepted.
   * Errors: BAD_PARAMETER.
   */
  setCacheSize(bytes: number, ramBytes: number): void {
    this.parameters.setCacheSize(bytes, ramBytes);
    this.parametersChanged();
  }

  /** Sets all of `changes`, or none of them. Takes effect at once. Errors: BAD_PARAMETER. */
  setParameters(changes: Readonly<Record<string, unknown>>): void {
    this.parameters.set(changes);
    this.parametersChanged();
  }

  queryParameters(): ParameterValues {
    return this.parameters.values();
  }

  /** Sets all of `states`, or none of them. Errors: IN_PROGRESS, BAD_PARAMETER. */
  setCapabilities(states: Readonly<Record<string, boolean | undefined>>): void {
    const changes = Object.entries(states).flatMap(([capability, state]) =>
      state === undefined ? [] : [{ capability, state }],
    );
    this.capabilities.set(changes, this.migrationStatus);
  }

  queryCapabilities(): CapabilityStates {
    return this.capabilities.states;
  }
}
