/** What a target says of its figure. */
export type Target = { readonly atLeast: number } | { readonly atMost: number };

/** One measured figure, as a row of the table. */
export interface Row {
  /** Unique among all rows: `random-tcp.total-time`. */
  readonly name: string;
  /** What the figure is, in words: `total time, QEMU / Peregrine`. */
  readonly what: string;
  readonly figure: number;
  /** Of the figure: `ratio`, or a unit. */
  readonly unit: "ratio" | "ms" | "GB/s" | "MB" | "s/MB" | "pages/ms" | "runs of 100" | "frames/s" | "%";
  /** Undefined where a figure is shown to explain others. */
  readonly target?: Target;
  /** What the figure is the median of, or otherwise made of; in the order in which it was measured. */
  readonly samples: readonly number[];
  /** What a reader has to know to understand the figure. */
  readonly note?: string;
}

export interface BenchContext {
  /** Pairs that are measured for a median. */
  readonly pairs: number;
  /** An empty folder that is removed after the scenario. */
  readonly directory: string;
  /** Tells a person how far it is. */
  readonly log: (line: string) => void;
}

export interface Scenario {
  /** For `--only`. */
  readonly name: string;
  /** What is done, in one sentence. */
  readonly title: string;
  /** Whether it compares with real QEMU: it is left out, with a notice, where that is missing. */
  readonly needsQemu: boolean;
  run(context: BenchContext): Promise<readonly Row[]>;
}

export function isMet({ figure, target }: Row): boolean | undefined {
  if (target === undefined) return undefined;
  return "atLeast" in target ? figure >= target.atLeast : figure <= target.atMost;
}
