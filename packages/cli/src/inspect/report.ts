import type { StreamSource } from "../inspect-options.ts";
import { inspectInputs } from "./inspect-input.ts";
import type { Output } from "./output.ts";
import { SECTION_TITLES, SectionLines } from "./section-lines.ts";
import { fileLines, summaryLines } from "./summary-lines.ts";

/** Everything that is in a stream, as it is read. @returns the exit status. Errors: the first fault. */
export async function report(source: StreamSource, output: Output): Promise<number> {
  const sections = new SectionLines((line) => output.line(line));
  const { summary, fault } = await inspectInputs(
    source,
    {
      listener: {
        event: (event) => (output.json ? output.object(event) : sections.add(event)),
        caughtUp: () => output.ready(),
      },
    },
    (files) => {
      if (!output.json) {
        for (const line of [...fileLines(files), "", SECTION_TITLES]) output.line(line);
      } else if (files.main.libvirt !== undefined) {
        output.object(files.main.libvirt);
      }
    },
  );
  if (output.json) {
    output.object(summary);
  } else {
    sections.end();
    for (const line of ["", ...summaryLines(summary)]) output.line(line);
  }
  if (fault !== undefined) throw fault;
  return 0;
}
