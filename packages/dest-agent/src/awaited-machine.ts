import type { Machine } from "@peregrine/shared-state";
import type { AwaitedMachine } from "./incoming-messages.ts";

/** What the incoming thread has to know of a machine. */
export function awaited({ type, devices, intake, drives, ramModule }: Machine): AwaitedMachine {
  if (intake !== undefined) return { kind: "carried", memory: intake.memory };
  return {
    kind: "described",
    machineType: type,
    devices: devices.descriptions(),
    hasDrives: drives !== undefined,
    ramModule,
  };
}
