import { bind, bindToPath } from "@peregrine/transport";
import { isUnderWay } from "@peregrine/shared-state";
import type { AddressInfo } from "node:net";
import type { Server } from "node:http";
import type { Agent } from "../agent.ts";
import type { MetricsOptions } from "../command-options.ts";
import { metricsAccess } from "./metrics-access.ts";
import type { MetricsAddress } from "./metrics-address.ts";

/** Where metrics are given out, until it is closed. */
export interface MetricsEndpoint {
  close(): void;
}

/**
 * Serves the metrics of an agent, and says where. Without addresses nothing is loaded.
 * Errors: LISTEN_FAILED.
 */
export async function serveMetrics(
  agent: Pick<Agent, "view" | "subscribe">,
  { addresses, token }: MetricsOptions,
  say: (text: string) => void,
): Promise<MetricsEndpoint> {
  if (addresses.length === 0) return { close: () => {} };
  const { AgentMetrics, createMetricsServer } = await import("@peregrine/metrics");
  const metrics = new AgentMetrics(() => agent.view.figures());
  const undo = [
    agent.subscribe((event) => {
      if (event.name === "MIGRATION" && !isUnderWay(event.data.status)) metrics.observe();
    }),
  ];
  const endpoint = { close: () => undo.splice(0).forEach((step) => step()) };
  try {
    for (const address of addresses) {
      const server = createMetricsServer({
        render: () => metrics.render(),
        contentType: metrics.contentType,
        authorize: metricsAccess(address, token),
      });
      const { where, close } = await listen(server, address);
      undo.push(close);
      say(`Metrics are served at ${where}`);
    }
  } catch (error) {
    endpoint.close();
    throw error;
  }
  return endpoint;
}

interface Listening {
  readonly where: string;
  readonly close: () => void;
}

async function listen(server: Server, address: MetricsAddress): Promise<Listening> {
  const closeServer = (): void => {
    server.close();
    server.closeAllConnections();
  };
  if (address.kind === "unix") {
    const unbind = await bindToPath(server, address.path);
    const close = (): void => {
      closeServer();
      unbind();
    };
    return { where: `unix:${address.path}`, close };
  }
  const { host, port } = address;
  await bind(server, { host, port }, `${host}:${port}`);
  const name = host.includes(":") ? `[${host}]` : host;
  return {
    where: `http://${name}:${(server.address() as AddressInfo).port}/metrics`,
    close: closeServer,
  };
}
