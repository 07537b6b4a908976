import type { Configuration } from "@peregrine/protocol";
import type { CapabilityStates } from "@peregrine/shared-state";

/** Capabilities that the destination has to know of. */
const ANNOUNCED = ["mapped-ram", "switchover-ack"] as const;

/**
 * The configuration section of a stream that goes out with these capabilities. Those that a machine came with say
 * nothing about how it leaves.
 */
export function outgoingConfiguration(
  machine: Configuration | undefined,
  states: Pick<CapabilityStates, (typeof ANNOUNCED)[number]>,
): Configuration | undefined {
  if (machine === undefined) return undefined;
  const { capabilities: _, ...rest } = machine;
  const announced = ANNOUNCED.filter((capability) => states[capability]);
  return announced.length === 0 ? rest : { ...rest, capabilities: announced };
}
