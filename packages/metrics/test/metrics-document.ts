import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AgentMetrics, DEFINITIONS } from "../src/agent-metrics.ts";
import { figures } from "./figures.ts";

export const METRICS_DOCUMENT = fileURLToPath(new URL("../../../docs/metrics.md", import.meta.url));

/** `docs/metrics.md`, made from the metrics themselves. */
export function renderMetricsDocument(): string {
  const all = new AgentMetrics(() => figures({})).list();
  const own = new Map(DEFINITIONS.map((definition) => [definition.name, definition]));
  return [
    "# Metrics",
    "",
    "`run`, `receive`, `restore`, `relay` and the daemons serve their statistics to Prometheus with `--metrics ADDRESS`,",
    "at `http://ADDRESS/metrics`. This file is made from the metrics in `packages/metrics/src` by",
    "`node packages/metrics/test/metrics-document.ts`.",
    "",
    "| address | who can ask |",
    "| --- | --- |",
    "| `127.0.0.1:PORT`, `[::1]:PORT` | every user of this host; with a token, whoever has it |",
    "| `HOST:PORT` | whoever has the token; without one the agent does not start |",
    "| `unix:PATH` | the user that started the agent: the socket has the mode 0600 |",
    "",
    "Port 0 takes any; which one is said on stderr. The token is what is in the file of `--metrics-token-file FILE`, or in",
    "`PEREGRINE_METRICS_TOKEN`, and goes into the header `Authorization: Bearer TOKEN`. It is not that of the monitor: who",
    "may read figures may not end guests. The connection is not encrypted. [security.md](security.md) tells more.",
    "",
    "```yaml",
    "scrape_configs:",
    "  - job_name: peregrine",
    "    authorization:",
    "      credentials_file: /etc/prometheus/peregrine.token",
    "    static_configs:",
    "      - targets: [other-host:9464]",
    "```",
    "",
    "An agent whose guest has moved away ends, and its metrics with it, unless it was started with `--keep`. Where a value",
    "is not known, such as a dirty rate in the first pass, the metric is left out. Counters add up over all migrations of",
    "an agent. Gauges are of the present or last migration.",
    "",
    "## Agent, guest and migrations",
    "",
    "| metric | type | labels | meaning |",
    "| --- | --- | --- | --- |",
    ...[...own.values()].map(
      ({ name, kind, labels = [], help }) =>
        `| \`${name}\` | ${kind} | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`,
    ),
    "",
    "## Process",
    "",
    "These are made by prom-client, with the names that all Node programs have.",
    "",
    "| metric | type | meaning |",
    "| --- | --- | --- |",
    ...all
      .filter(({ name }) => !own.has(name))
      .map(({ name, type, help }) => `| \`${name}\` | ${type} | ${help} |`),
    "",
  ].join("\n");
}

if (import.meta.main) {
  writeFileSync(METRICS_DOCUMENT, renderMetricsDocument());
  // The registry keeps timers.
  process.exit();
}
