import type { Point } from "./plan.ts";
import type { Run } from "./run-result.ts";

/** What a failing run has to say: what is wrong, how to have it again, and what happened. */
export function failureText({ plan, where, wrong, diary }: Run): string {
  const { seed, run, fault, point, guest, capability, transport } = plan;
  const head = `FAILED run ${run}: ${wrong.join("; ")}`;
  const what = `  ${JSON.stringify({ fault, point, guest, capability, transport })}${where === "" ? "" : `\n  struck ${where}`}`;
  return `${head}\n  once more: pnpm faults --seed ${seed} --run ${run}\n${what}\n${diary.text}`;
}

/** Counts runs by kind and place of the fault, and by what became of the guest. */
export class Tally {
  runs = 0;
  failures = 0;
  readonly #byFault = new Table();
  readonly #byPlace = new Table();

  add(run: Run): void {
    this.runs++;
    const failed = run.wrong.length > 0;
    if (failed) this.failures++;
    const outcome = failed
      ? "FAILED"
      : run.struckAt === undefined && run.outcome !== "skipped"
        ? "not reached"
        : run.outcome;
    this.#byFault.add(run.plan.fault.kind, outcome);
    this.#byPlace.add(placeOf(run), outcome);
  }

  table(): string {
    return `${this.#byFault.text("fault")}\n\n${this.#byPlace.text("struck in")}\n`;
  }
}

const PLACES: Record<Exclude<Point["in"], "phase">, string> = {
  tail: "last 2 KiB",
  return: "return path",
  answer: "last answers",
  channel: "multifd channel",
  wrapped: "ws or TLS, copy",
  stopped: "ws or TLS, stopped",
};

function placeOf({ plan: { point, fault } }: Run): string {
  if (fault.kind === "false-source") return "(forged stream)";
  if (fault.kind === "false-destination") return fault.phase;
  return point.in === "phase" ? point.phase : PLACES[point.in];
}

const COLUMNS = [
  "stayed",
  "moved",
  "operator",
  "died",
  "damaged",
  "standing",
  "refused",
  "taken",
  "skipped",
  "not reached",
  "FAILED",
];

class Table {
  readonly #rows = new Map<string, Map<string, number>>();

  add(row: string, column: string): void {
    const counts = this.#rows.get(row) ?? new Map<string, number>();
    counts.set(column, (counts.get(column) ?? 0) + 1);
    this.#rows.set(row, counts);
  }

  text(title: string): string {
    const used = COLUMNS.filter((column) => [...this.#rows.values()].some((counts) => counts.has(column)));
    const line = (name: string, cells: readonly string[]): string =>
      `${name.padEnd(18)}${cells.map((cell, n) => cell.padStart(Math.max(7, used[n]!.length + 2))).join("")}`;
    const rows = [...this.#rows].toSorted(([a], [b]) => a.localeCompare(b));
    return [
      line(title, used),
      ...rows.map(([name, counts]) =>
        line(
          name,
          used.map((column) => String(counts.get(column) ?? "")),
        ),
      ),
    ].join("\n");
  }
}
