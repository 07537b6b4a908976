import { MigrationError } from "@peregrine/protocol";
import { RamFile } from "@peregrine/stream-inspector";
import type { Inspection } from "@peregrine/stream-inspector";
import { HostSignals, signalStatus } from "../host-signals.ts";
import type { RamTask, StreamSource } from "../inspect-options.ts";
import { formatSize } from "@peregrine/shared-state";
import { inspectInputs } from "./inspect-input.ts";
import type { Output } from "./output.ts";
import { counted } from "./table.ts";

/**
 * Writes the contents of a RAM block into a file, which is there only when all of it is.
 * @returns the exit status. Errors: WRITE_FAILED, BAD_PARAMETER; the first fault of the stream.
 */
export async function extractRam(source: StreamSource, task: RamTask, output: Output): Promise<number> {
  const { block, output: path, force, salvage } = task;
  const signals = new HostSignals();
  const file = new RamFile({ block, path, force });
  try {
    const ended = await Promise.race([inspectInputs(source, { memory: file }), signals.first]);
    if (typeof ended === "string") return signalStatus(ended);
    const fault = ended.fault ?? incomplete(ended, block);
    if (fault !== undefined && !salvage) throw fault;
    if (file.keep()) tell(ended, task, output);
    if (fault !== undefined) throw fault;
    return 0;
  } finally {
    file.discard();
    signals.dispose();
  }
}

function incomplete({ summary }: Inspection, name: string): MigrationError | undefined {
  const block = summary.blocks.find((one) => one.name === name);
  if (block === undefined) return new MigrationError("BAD_SECTION_ORDER", "The stream has no section 'ram'");
  if (block.missingPages === 0) return undefined;
  return new MigrationError(
    "BAD_RAM_PAGE",
    `${counted(block.missingPages, "page")} of RAM block '${name}' never came; if they were sent on multifd ` +
      "channels, name the files of those, too; --salvage keeps what is there",
  );
}

function tell({ summary }: Inspection, { block: name, output: path }: RamTask, output: Output): void {
  const { bytes, missingPages } = summary.blocks.find((block) => block.name === name)!;
  if (output.json) {
    output.object({ item: "ram", block: name, bytes, missingPages, file: path });
    return;
  }
  const missing = missingPages === 0 ? "" : `, ${counted(missingPages, "page")} missing`;
  output.line(`${name}: ${bytes} bytes (${formatSize(bytes)}) written to ${path}${missing}`);
}
