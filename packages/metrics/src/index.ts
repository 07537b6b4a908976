export { AgentMetrics } from "./agent-metrics.ts";
export type { AgentFigures } from "./figures.ts";
export { createMetricsServer } from "./metrics-server.ts";
export type { Authorization } from "./metrics-server.ts";
