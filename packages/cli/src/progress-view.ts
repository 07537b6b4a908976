import type { ShownProgress } from "./agent-report.ts";
import { progressLine } from "./progress-text.ts";

/** Shows how a migration goes. */
export interface ProgressView {
  show(progress: ShownProgress): void;
  /** Tells of something that was done meanwhile. */
  note(text: string): void;
  /** Nothing more comes; what is on the screen stays. */
  close(): void;
}

type Output = Pick<NodeJS.WriteStream, "write">;

/** Of two lines about the same pass. Milliseconds. */
const LINE_INTERVAL_MS = 1000;

/** There is something to be shown in these states; how it ended is told otherwise. */
const SHOWN_STATES: ReadonlySet<string> = new Set(["active", "pre-switchover", "device"]);

/** These are told in a line of their own, once, when it comes to that: somebody has to do something. */
const NOTABLE_VERDICTS: ReadonlySet<string> = new Set(["will-not-converge", "not-moving"]);

export function isShown({ state }: ShownProgress): boolean {
  return SHOWN_STATES.has(state);
}

/** What suits the standard output. */
export async function progressView(json: boolean): Promise<ProgressView> {
  if (json) return jsonView(process.stdout);
  // A terminal that does not know its size, such as a recorded one, has no room to draw in.
  const canDraw = process.stdout.isTTY && process.stdout.columns > 0;
  if (!canDraw) return linesView(process.stdout);
  // What draws takes a good part of the start of a command that only asks an agent.
  return (await import("./terminal-view.ts")).terminalView(process.stdout);
}

/** A line for each pass, and one each second during a long one. */
export function linesView(output: Output, now: () => number = () => performance.now()): ProgressView {
  let printed: { pass: number; at: number } | undefined;
  let told: string | undefined;
  return {
    show(progress) {
      const { pass, verdict } = progress;
      if (NOTABLE_VERDICTS.has(verdict.kind) && verdict.kind !== told) {
        told = verdict.kind;
        output.write(`${verdict.text}\n`);
      }
      if (pass === printed?.pass && now() - printed.at < LINE_INTERVAL_MS) return;
      printed = { pass, at: now() };
      output.write(`${progressLine(progress)}\n`);
    },
    note: (text) => void output.write(`${text}\n`),
    close: () => undefined,
  };
}

/** One JSON object for each look, on a line: the snapshot as the agent gave it. */
export function jsonView(output: Output): ProgressView {
  return {
    show: (progress) => void output.write(`${JSON.stringify({ status: progress.state, ...progress })}\n`),
    note: (note) => void output.write(`${JSON.stringify({ status: "active", note })}\n`),
    close: () => undefined,
  };
}
