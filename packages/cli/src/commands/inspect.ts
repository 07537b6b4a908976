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
async function carryOut({ paths, task }: InspectOptions, output: Output): Promise<number> {
  switch (task.kind) {
    case "report":
      return (await import("../inspect/report.ts")).report(paths, output);
    case "verify":
      return (await import("../inspect/verify.ts")).verify(paths, output);
    case "device":
      return (await import("../inspect/device.ts")).showDevice(paths, task.device, output);
    case "diff":
      return (await import("../inspect/compare.ts")).compare(paths, task.paths, output);
    default:
      return (await import("../inspect/extract-ram.ts")).extractRam(paths, task, output);
  }
}
