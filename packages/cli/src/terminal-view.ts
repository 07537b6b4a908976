import { createLogUpdate } from "log-update";
import { progressLines } from "./progress-text.ts";
import type { ProgressView } from "./progress-view.ts";

/** A bar that is drawn again and again, on a terminal that knows its size. */
export function terminalView(output: NodeJS.WriteStream): ProgressView {
  const draw = createLogUpdate(output);
  return {
    show: (progress) => draw(progressLines(progress, output.columns).join("\n")),
    note(text) {
      draw.done();
      output.write(`${text}\n`);
    },
    close: () => draw.done(),
  };
}
