import { formatSize } from "@peregrine/shared-state/units";
import uPlot from "uplot";
import type { Point } from "../src/messages.ts";
import { element, setHidden } from "./dom.ts";
import { rate } from "./format.ts";
import { colour } from "./theme.ts";

const HEIGHT = 140;

interface Line {
  readonly label: string;
  readonly colour: string;
  readonly of: (point: Point) => number | null;
  readonly dashed?: boolean;
}

interface ChartKind {
  readonly title: string;
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  /** Bytes are divided by powers of two; what goes over many powers of ten is shown as such. */
  readonly scale: "bytes" | "powers";
}

/** Steps of an axis of bytes. */
const BYTE_STEPS = Array.from({ length: 48 }, (_, power) => 2 ** power);

/** Milliseconds: what is less is drawn as this. */
const LEAST_TIME = 1;

const CHARTS: readonly ChartKind[] = [
  {
    title: "Bandwidth and dirty rate",
    format: rate,
    scale: "bytes",
    lines: [
      { label: "sent", colour: "sent", of: (point) => point[1] },
      { label: "dirtied", colour: "dirty", of: (point) => point[2] },
    ],
  },
  {
    title: "Remaining",
    format: formatSize,
    scale: "bytes",
    lines: [{ label: "remaining", colour: "accent", of: (point) => point[3] }],
  },
  {
    title: "Downtime, predicted and allowed",
    format: wholeTime,
    scale: "powers",
    lines: [
      {
        label: "predicted",
        colour: "violet",
        of: (point) => (point[4] === null ? null : powerOf(point[4])),
      },
      { label: "allowed", colour: "faint", of: (point) => powerOf(point[5]), dashed: true },
    ],
  },
];

/** The course of a migration: three charts with one axis of time. */
export class Timeline {
  readonly node: HTMLElement;
  readonly #slots: readonly HTMLElement[];
  readonly #figures: HTMLElement;
  readonly #empty = element("p", { class: "quiet" }, "It begins with the migration.");
  #charts: uPlot[] = [];
  #revision = -1;
  #points: readonly Point[] = [];

  constructor() {
    this.#slots = CHARTS.map(() => element("div", { class: "chart" }));
    this.#figures = element(
      "div",
      { class: "charts" },
      ...CHARTS.map((kind, index) => figure(kind, this.#slots[index]!)),
    );
    this.node = element(
      "section",
      { class: "card", "aria-labelledby": "timeline-title" },
      element("h2", { id: "timeline-title" }, "Timeline"),
      this.#figures,
      this.#empty,
    );
    new ResizeObserver(() => this.#resize()).observe(this.node);
  }

  render(points: readonly Point[], revision: number): void {
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#points = points;
    this.#draw();
  }

  /** The colours have changed. */
  restyle(): void {
    for (const chart of this.#charts) chart.destroy();
    this.#charts = [];
    this.#draw();
  }

  #draw(): void {
    setHidden(this.#empty, this.#points.length > 0);
    // The charts are there before a migration begins: to build them takes longer than anything that follows.
    if (!this.node.isConnected) return;
    if (this.#charts.length === 0)
      this.#charts = CHARTS.map((kind, index) => this.#chart(kind, this.#slots[index]!));
    for (const [index, kind] of CHARTS.entries()) this.#charts[index]!.setData(dataOf(kind, this.#points));
  }

  #chart(kind: ChartKind, slot: HTMLElement): uPlot {
    const axis = {
      stroke: colour("quiet"),
      grid: { stroke: colour("line"), width: 1 },
      ticks: { show: false },
    };
    return new uPlot(
      {
        width: slot.clientWidth || 320,
        height: HEIGHT,
        pxAlign: 0,
        legend: { show: false },
        cursor: { show: false },
        scales: { x: { time: false, range: timeRange }, y: scaleOf(kind) },
        series: [
          {},
          ...kind.lines.map((line) => ({
            label: line.label,
            stroke: colour(line.colour),
            width: 2,
            points: { show: false },
            ...(line.dashed === true ? { dash: [5, 5] } : {}),
            ...(line.dashed === true || kind.scale === "powers" ? {} : { fill: `${colour(line.colour)}22` }),
          })),
        ],
        axes: [
          { ...axis, size: 26, values: (_, seconds) => seconds.map((value) => `${value} s`) },
          {
            ...axis,
            size: 76,
            space: 30,
            ...(kind.scale === "bytes" ? { incrs: BYTE_STEPS } : { incrs: [1, 2, 3] }),
            values: (_: uPlot, values: number[]) => values.map((value) => kind.format(value)),
          },
        ],
      },
      dataOf(kind, this.#points),
      slot,
    );
  }

  #resize(): void {
    for (const [index, chart] of this.#charts.entries()) {
      const width = this.#slots[index]!.clientWidth;
      if (width > 0 && width !== chart.width) chart.setSize({ width, height: HEIGHT });
    }
  }
}

/** Seconds; of a migration that has just begun, the first one. */
function timeRange(_: uPlot, _least: number | null, most: number | null): uPlot.Range.MinMax {
  return [0, Math.max(most ?? 0, 1)];
}

function scaleOf({ scale }: ChartKind): uPlot.Scale {
  if (scale === "bytes") return { range: (_, _least, most) => [0, most > 0 ? most * 1.1 : 1] };
  return { range: (_, least, most) => [Math.floor(least ?? 0), Math.max(Math.ceil(most ?? 1), 1)] };
}

/** Of ten: the downtime that is predicted may be a thousand times the one that is allowed. */
function powerOf(ms: number): number {
  return Math.log10(Math.max(ms, LEAST_TIME));
}

function wholeTime(power: number): string {
  const ms = 10 ** power;
  return ms < 1000 ? `${Math.round(ms)} ms` : `${Math.round(ms / 1000)} s`;
}

function figure({ title, lines }: ChartKind, slot: HTMLElement): HTMLElement {
  const keys = lines.map((line) =>
    element(
      "li",
      { "data-colour": line.colour, ...(line.dashed === true ? { class: "dashed" } : {}) },
      line.label,
    ),
  );
  return element(
    "figure",
    {},
    element("figcaption", {}, title, element("ul", { class: "keys" }, ...keys)),
    slot,
  );
}

function dataOf({ lines }: ChartKind, points: readonly Point[]): uPlot.AlignedData {
  const time = points.map((point) => point[0]);
  return [time, ...lines.map((line) => points.map((point) => line.of(point)))];
}
