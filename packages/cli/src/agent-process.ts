import { agentEvents, createCommands, HumanMonitor, MonitorServer } from "@peregrine/monitor";
import type { DashboardServer } from "@peregrine/dashboard";
import type { CommandTable, EventSource } from "@peregrine/monitor";
import { formatUri } from "@peregrine/transport";
import type { SecurityObjects, ServerTls } from "@peregrine/transport";
import { flushCompileCache } from "node:module";
import { serveDashboard } from "./agent-dashboard.ts";
import type { Agent } from "./agent.ts";
import type { AgentEnd } from "./agent-end.ts";
import type { MetricsOptions, MonitorOptions } from "./command-options.ts";
import { leaveRecord } from "./completed-record.ts";
import type { HostSignals } from "./host-signals.ts";
import { traceAgent } from "./log/trace-agent.ts";
import { serveMetrics } from "./metrics/serve-metrics.ts";
import type { MetricsEndpoint } from "./metrics/serve-metrics.ts";
import type { NameClaim } from "./registry.ts";
import { arrivalTls } from "./tls-options.ts";
import { MONITOR_VERSION } from "./version.ts";

export interface AgentProcessOptions {
  readonly agent: Agent;
  readonly claim: NameClaim;
  readonly monitors: MonitorOptions;
  /** Those that the command line has made. */
  readonly objects: SecurityObjects;
  readonly metrics: MetricsOptions;
  readonly signals: HostSignals;
  /** Prints one line for the user. */
  readonly say: (text: string) => void;
  /** Starts the guest, or begins to wait for it. */
  readonly begin: () => Promise<void>;
}

/**
 * Serves an agent until it ends, and closes in order: first what is being migrated, so that the guest belongs
 * to one side; then the monitors, whose clients get their last answers and events, and the metrics; then the guest.
 */
export async function serveAgent(options: AgentProcessOptions): Promise<AgentEnd> {
  const { agent, claim, monitors, metrics, objects, signals, say, begin } = options;
  const untrace = traceAgent(agent, claim.name);
  const commands = createCommands(agent, MONITOR_VERSION, monitors.opening);
  const events = agentEvents(agent);
  const ended = Promise.withResolvers<void>();
  let dashboard: DashboardServer | undefined;
  const monitor = new MonitorServer({
    commands,
    human: new HumanMonitor({ agent, commands, version: MONITOR_VERSION }),
    events,
    version: MONITOR_VERSION,
    origins: monitors.origins,
    token: monitors.token,
    tls: monitorTls(objects, monitors),
  });
  void signals.first.then((signal) => agent.end({ kind: "signal", signal }));
  let endpoint: MetricsEndpoint | undefined;
  try {
    await monitor.listen(`unix:${claim.socket}`);
    await listenOnMore(monitor, options);
    endpoint = await serveMetrics(agent, metrics, say);
    dashboard = await openDashboard(options, commands, events, ended.promise);
    await begin();
    // What was compiled is kept for the next start, also if this process does not end in order.
    flushCompileCache();
    const end = await agent.ended;
    announce(agent, end);
    return end;
  } finally {
    await agent.settle();
    await leaveRecord(claim.record, agent.report());
    ended.resolve();
    await Promise.all([monitor.close(), dashboard?.close()]);
    endpoint?.close();
    untrace();
    await agent.dispose();
  }
}

/** What clients of monitors at `tcp:` have to have. The kind of the address matters, and not which one it is. Errors: BAD_PARAMETER. */
function monitorTls(
  objects: SecurityObjects,
  { qmp, human, tls }: Pick<MonitorOptions, "qmp" | "human" | "tls">,
): ServerTls | undefined {
  const uri = [...qmp, ...human].find((address) => address.startsWith("tcp:"));
  return uri === undefined ? undefined : arrivalTls(objects, tls, uri);
}

async function listenOnMore(monitor: MonitorServer, { monitors, say }: AgentProcessOptions): Promise<void> {
  for (const uri of monitors.qmp) say(`The monitor listens on ${formatUri(await monitor.listen(uri))}`);
  for (const uri of monitors.human) {
    say(`The monitor for people listens on ${formatUri(await monitor.listen(uri, "human"))}`);
  }
}

async function openDashboard(
  { claim, monitors, say }: AgentProcessOptions,
  commands: CommandTable,
  events: EventSource,
  ended: Promise<void>,
): Promise<DashboardServer | undefined> {
  const { dashboard: address, token, opening: policy } = monitors;
  if (address === undefined || token === undefined) return undefined;
  const server = await serveDashboard({ name: claim.name, address, token, policy, commands, events, ended });
  say(`The dashboard is at ${server.url}`);
  return server;
}

function announce(agent: Agent, end: AgentEnd): void {
  if (end.kind === "quit") agent.announceEnd("host-qmp-quit");
  else if (end.kind === "signal") agent.announceEnd("host-signal");
  else if (end.kind === "load-failed") agent.announceEnd("host-error");
}
