import { collectDefaultMetrics, Counter, Gauge, Registry } from "prom-client";
import { AGENT_DEFINITIONS } from "./agent-definitions.ts";
import { isLabelled } from "./definition.ts";
import type { Definition, Reading } from "./definition.ts";
import type { AgentFigures } from "./figures.ts";
import { INCOMING_DEFINITIONS } from "./incoming-definitions.ts";
import { OUTGOING_DEFINITIONS } from "./outgoing-definitions.ts";
import { Totals } from "./totals.ts";

/** Every metric but those of the process. */
export const DEFINITIONS: readonly Definition[] = [
  ...AGENT_DEFINITIONS,
  ...OUTGOING_DEFINITIONS,
  ...INCOMING_DEFINITIONS,
];

/** How often the delay of the event loop is looked at, milliseconds: it costs a timer. */
const EVENT_LOOP_PERIOD_MS = 100;

/** The metrics of one agent and its process, in a registry of their own. */
export class AgentMetrics {
  readonly #registry = new Registry();
  readonly #totals = new Totals();
  readonly #figures: () => AgentFigures;
  readonly #metrics: readonly [Definition, Gauge | Counter][];

  /** @param figures the agent as it is now. Called at each scrape: it has to be cheap. */
  constructor(figures: () => AgentFigures) {
    this.#figures = figures;
    this.#metrics = DEFINITIONS.map((definition) => [definition, this.#metricOf(definition)]);
    collectDefaultMetrics({
      register: this.#registry,
      eventLoopMonitoringPrecision: EVENT_LOOP_PERIOD_MS,
    });
  }

  /** Of the text that {@link render} makes. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** To be called when a migration has ended, so that what it has done is counted before the next one begins. */
  observe(): void {
    this.#totals.observe(this.#figures());
  }

  /** All metrics as Prometheus reads them. */
  async render(): Promise<string> {
    const figures = this.#figures();
    this.#totals.observe(figures);
    for (const [definition, metric] of this.#metrics) {
      write(metric, definition, definition.read(figures, this.#totals));
    }
    return this.#registry.metrics();
  }

  /** Name, type and help of each metric, those of the process as well, in the order in which they are rendered. */
  list(): readonly { readonly name: string; readonly type: string; readonly help: string }[] {
    return this.#registry.getMetricsAsArray().map((metric) => {
      const { name, help } = metric;
      // Where it keeps the type is not in its declaration.
      return { name, help, type: (metric as unknown as { readonly type: string }).type };
    });
  }

  #metricOf({ name, kind, help, labels = [] }: Definition): Gauge | Counter {
    const configuration = { name, help, labelNames: labels, registers: [this.#registry] };
    return kind === "gauge" ? new Gauge(configuration) : new Counter(configuration);
  }
}

/** A counter is written anew like a gauge: what it says is counted elsewhere. */
function write(metric: Gauge | Counter, { labels: [label = ""] = [] }: Definition, reading: Reading): void {
  metric.reset();
  if (reading === null) {
    metric.remove({});
  } else if (typeof reading === "number") {
    metric.inc(reading);
  } else if (isLabelled(reading)) {
    metric.inc({ ...reading.labels }, reading.value);
  } else {
    for (const [value, number] of Object.entries(reading)) metric.inc({ [label]: value }, number);
  }
}
