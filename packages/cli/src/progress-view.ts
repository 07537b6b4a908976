import { createLogUpdate } from "log-update";
import { advance } from "./progress.ts";
import type { Progress, ProgressSample } from "./progress.ts";
import { convergenceVerdict, progressLine, progressLines } from "./progress-text.ts";

/** Shows how a migration goes. Gets every sample. */
export interface ProgressView {
  show(sample: ProgressSample): void;
  /** Tells of something that was done meanwhile. */
  note(text: string): void;
  /** Nothing more comes; what is on the screen stays. */
  close(): void;
}

type Output = Pick<NodeJS.WriteStream, "write">;

/** Of two lines about the same pass. Milliseconds. */
const LINE_INTERVAL_MS = 1000;

/** What suits the standard output. */
export function progressView(json: boolean): ProgressView {
  if (json) return jsonView(process.stdout);
  // A terminal that does not know its size, such as a recorded one, has no room to draw in.
  const canDraw = process.stdout.isTTY && process.stdout.columns > 0;
  return canDraw ? terminalView(process.stdout) : linesView(process.stdout);
}

/** A bar that is drawn again and again, on a terminal that knows its size. */
function terminalView(output: NodeJS.WriteStream): ProgressView {
  const draw = createLogUpdate(output);
  let progress: Progress | undefined;
  return {
    show(sample) {
      progress = advance(progress, sample);
      draw(progressLines(progress, output.columns).join("\n"));
    },
    note(text) {
      draw.done();
      output.write(`${text}\n`);
    },
    close: () => draw.done(),
  };
}

/** A line for each pass, and one each second during a long one. */
export function linesView(output: Output, now: () => number = () => performance.now()): ProgressView {
  let progress: Progress | undefined;
  let printed: { pass: number; at: number } | undefined;
  let verdictGiven = false;
  return {
    show(sample) {
      progress = advance(progress, sample);
      const verdict = convergenceVerdict(progress);
      if (verdict !== undefined && !verdictGiven) output.write(`${verdict}\n`);
      verdictGiven ||= verdict !== undefined;
      if (progress.pass === printed?.pass && now() - printed.at < LINE_INTERVAL_MS) return;
      printed = { pass: progress.pass, at: now() };
      output.write(`${progressLine(progress)}\n`);
    },
    note: (text) => void output.write(`${text}\n`),
    close: () => undefined,
  };
}

/** One JSON object for each sample, on a line. */
export function jsonView(output: Output): ProgressView {
  let progress: Progress | undefined;
  return {
    show(sample) {
      progress = advance(progress, sample);
      const verdict = convergenceVerdict(progress) ?? null;
      output.write(`${JSON.stringify({ status: "active", ...progress, verdict })}\n`);
    },
    note: (note) => void output.write(`${JSON.stringify({ status: "active", note })}\n`),
    close: () => undefined,
  };
}
