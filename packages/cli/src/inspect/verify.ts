import { MigrationError } from "@peregrine/protocol";
import { StrictCheck } from "@peregrine/stream-inspector";
import type { StreamSummary } from "@peregrine/stream-inspector";
import type { StreamSource } from "../inspect-options.ts";
import { inspectInputs, inspectLimits } from "./inspect-input.ts";
import type { Output } from "./output.ts";
import { counted } from "./table.ts";

/** Checks everything. @returns the exit status. Errors: the first fault. */
export async function verify(source: StreamSource, output: Output): Promise<number> {
  const listener = new StrictCheck(inspectLimits(source));
  const { summary, fault } = await inspectInputs(source, { listener }, ({ main }) => {
    if (main.libvirt?.complete === false) {
      throw new MigrationError("TRUNCATED", "libvirt had not finished this save image");
    }
  });
  if (fault !== undefined) throw fault;
  listener.requireComplete(summary);
  if (output.json) output.object({ item: "valid", ...validity(summary) });
  else output.line(validText(summary));
  return 0;
}

function validity({ bytes, machineType, sections, devices, footers, vmDescription }: StreamSummary): object {
  return { bytes, machineType, sections, devices, footers, vmDescription };
}

function validText({ bytes, machineType, sections, devices, undivided, blocks }: StreamSummary): string {
  const facts = [
    ...(machineType === undefined ? [] : [machineType]),
    counted(bytes, "byte"),
    counted(sections, "section"),
    undivided ? "devices that cannot be told apart" : counted(devices, "device"),
    `every page of ${counted(blocks.length, "RAM block")}`,
  ];
  return `valid: ${facts.join(", ")}`;
}
