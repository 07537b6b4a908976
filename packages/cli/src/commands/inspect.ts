import type { InspectOptions } from "../inspect-options.ts";
import { Output } from "../inspect/output.ts";

/** `peregrine inspect`: shows, checks, compares or takes apart a stream. */
export async function inspectCommand(options: InspectOptions): Promise<number> {
  const output = new Output(options.json);
  try {
    return await carryOut(options, output);
  } catch (error) {
    if (output.json) output.fault(error);
    throw error;
  } finally {
    await output.flushed();
  }
}

/** Each task loads what it needs. */
async function carryOut(options: InspectOptions, output: Output): Promise<number> {
  const { task } = options;
  switch (task.kind) {
    case "report":
      return (await import("../inspect/report.ts")).report(options, output);
    case "verify":
      return (await import("../inspect/verify.ts")).verify(options, output);
    case "device":
      return (await import("../inspect/device.ts")).showDevice(options, task.device, output);
    case "diff":
      return (await import("../inspect/compare.ts")).compare(options, task.paths, output);
    default:
      return (await import("../inspect/extract-ram.ts")).extractRam(options, task, output);
  }
}
