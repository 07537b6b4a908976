import { isMet } from "./scenario.ts";
import type { Row, Target } from "./scenario.ts";

const DIGITS: Record<Row["unit"], number> = {
  ratio: 2,
  ms: 1,
  "GB/s": 2,
  MB: 0,
  "s/MB": 2,
  "pages/ms": 0,
  "runs of 100": 0,
  "frames/s": 0,
  "%": 1,
};

/** The rows as a table of Markdown, which is readable as plain text too. */
export function table(rows: readonly Row[]): string {
  const head = ["row", "what", "figure", "target", "met", "samples", "note"];
  const cells = [head, head.map(() => "---"), ...rows.map(cellsOf)];
  const widths = head.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells.map((row) => `| ${row.map((cell, n) => cell.padEnd(widths[n]!)).join(" | ")} |`).join("\n");
}

function cellsOf(row: Row): string[] {
  const met = isMet(row);
  return [
    row.name,
    row.what,
    `${figure(row.figure, row.unit)}${row.unit === "ratio" ? "" : ` ${row.unit}`}`,
    row.target === undefined ? "" : targetText(row.target),
    met === undefined ? "" : met ? "yes" : "NO",
    samplesText(row),
    row.note ?? "",
  ];
}

function figure(value: number, unit: Row["unit"]): string {
  return value.toFixed(DIGITS[unit]);
}

function targetText(target: Target): string {
  return "atLeast" in target ? `>= ${target.atLeast}` : `<= ${target.atMost}`;
}

/** Few samples are listed, of many only the range is. */
function samplesText({ samples, unit }: Row): string {
  if (samples.length === 0) return "";
  if (samples.length <= 7) return samples.map((sample) => figure(sample, unit)).join(" ");
  const ends = [Math.min(...samples), Math.max(...samples)].map((end) => figure(end, unit));
  return `${samples.length}: ${ends.join(" to ")}`;
}
