import type { Configuration } from "@peregrine/protocol";
import type { CapabilityStates } from "@peregrine/shared-state";

/**
 * The configuration section of a stream that goes out with these capabilities. Those that a machine came with say
 * nothing about how it leaves.
 */
export function outgoingConfiguration(
  machine: Configuration | undefined,
  states: CapabilityStates,
): Configuration | undefined {
  if (machine === undefined) return undefined;
  const { capabilities: _, ...rest } = machine;
  return states["mapped-ram"] ? { ...rest, capabilities: ["mapped-ram"] } : rest;
}
