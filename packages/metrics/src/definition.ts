import type { AgentFigures } from "./figures.ts";
import type { Totals } from "./totals.ts";

/** One value, or one for each value of the label. Null: it is not known, and is left out. */
export type Reading = number | null | Readonly<Record<string, number>> | LabelledReading;

/** One value with several labels. */
export interface LabelledReading {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** A metric: what Prometheus knows of it, and where its value comes from. */
export interface Definition {
  /** With its unit, and `_total` if it is a counter. */
  readonly name: string;
  readonly kind: "gauge" | "counter";
  readonly help: string;
  /** By which its values are told apart. */
  readonly labels?: readonly string[];
  readonly read: (figures: AgentFigures, totals: Totals) => Reading;
}

export function isLabelled(
  reading: Readonly<Record<string, number>> | LabelledReading,
): reading is LabelledReading {
  return typeof reading["labels"] === "object";
}

/** 1 for the state that something is in, and 0 for all others. */
export function oneOf(
  states: readonly string[],
  present: string | undefined,
): Readonly<Record<string, number>> {
  return Object.fromEntries(states.map((state) => [state, Number(state === present)]));
}

/** Seconds. */
export function seconds(milliseconds: number | null | undefined): number | null {
  return milliseconds === null || milliseconds === undefined ? null : milliseconds / 1000;
}
