import type { PeregrineProcess } from "../../e2e/src/agent-process.ts";
import type { Timeline } from "./timeline.ts";
import { mib, pages, rate } from "./units.ts";

/** What the demonstration reads of the monitor's `x-peregrine-info`. Bytes, and bytes per second. */
interface Report {
  readonly progress: {
    readonly pass: number;
    readonly passTotal: number;
    readonly transferred: number;
    readonly sendRate: number;
    /** Null until it is known. */
    readonly dirtyRate: number | null;
  } | null;
}

/** The last line of `peregrine migrate --json`. Times are milliseconds. */
export interface Outcome {
  readonly status: "completed" | "failed" | "cancelled";
  readonly message?: string;
  readonly totalTime: number;
  readonly downtime: number;
  readonly downtimeParts: Readonly<
    Record<"stop" | "harvest" | "lastPages" | "deviceState" | "load", number>
  > | null;
  readonly passes: number;
  readonly transferred: number;
}

/** An event of a monitor. `at`: milliseconds since 1970. */
export interface MonitorEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
  readonly at: number;
}

/** Calls `listener` for each event of an agent's monitor. */
export async function onEvents(
  agent: PeregrineProcess,
  listener: (event: MonitorEvent) => void,
): Promise<void> {
  const monitor = await agent.monitor();
  monitor.events.subscribe(({ event: name, data = {}, timestamp: { seconds, microseconds } }) =>
    listener({ name, data, at: seconds * 1000 + microseconds / 1000 }),
  );
}

/** Of two lines about passes. Milliseconds. */
const LINE_INTERVAL_MS = 50;

/** Prints a line for each pass over guest memory, but not for every one of many short ones. */
export class PassView {
  readonly #agent: PeregrineProcess;
  readonly #timeline: Timeline;
  #printedAt = 0;

  constructor(agent: PeregrineProcess, timeline: Timeline) {
    this.#agent = agent;
    this.#timeline = timeline;
  }

  /**
   * A pass has begun at `at`. The last one, with the program stopped, is shown however short it is.
   * @returns whether the line has told a dirty rate, which is known from the second pass on.
   */
  async show(pass: number, at: number, last: boolean): Promise<boolean> {
    if (!last && at - this.#printedAt < LINE_INTERVAL_MS) return false;
    this.#printedAt = at;
    const { progress } = await this.#agent.execute<Report>("x-peregrine-info");
    if (progress === null || progress.pass !== pass) return false;
    const { passTotal, transferred, sendRate, dirtyRate } = progress;
    const figures = [
      `pass ${pass}: ${mib(passTotal)} to send (${pages(passTotal)})`,
      ...(pass === 1 ? [] : [`${mib(transferred)} sent, sending rate ${rate(sendRate)}`]),
      ...(dirtyRate === null ? [] : [`dirty rate ${rate(dirtyRate)}`]),
    ];
    this.#timeline.say("A", figures.join(", "), at);
    return dirtyRate !== null;
  }
}

/** How a `peregrine migrate --json` process ended. Errors: what it said when its last line is no outcome. */
export async function outcomeOf(migrate: PeregrineProcess): Promise<Outcome> {
  await migrate.ended;
  const last = migrate.stdout.text.trimEnd().split("\n").at(-1) ?? "";
  const outcome = last === "" ? undefined : (JSON.parse(last) as Outcome);
  if (outcome !== undefined && ["completed", "failed", "cancelled"].includes(outcome.status)) return outcome;
  throw new Error(`the migration has no outcome: ${migrate.stderr.text.trim()}`);
}
