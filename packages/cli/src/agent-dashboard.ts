import type { DashboardAddress, DashboardServer } from "@peregrine/dashboard";
import type { AccessToken, CommandTable, EventSource, OpeningPolicy } from "@peregrine/monitor";
import { VERSION } from "./version.ts";

export interface AgentDashboardOptions {
  readonly name: string;
  readonly address: DashboardAddress;
  readonly token: AccessToken;
  readonly policy: OpeningPolicy;
  readonly commands: CommandTable;
  readonly events: EventSource;
  /** Resolves when the agent is no longer to be asked. */
  readonly ended: Promise<unknown>;
}

/** Serves the page for one agent from its own process. Errors: LISTEN_FAILED. */
export async function serveDashboard(options: AgentDashboardOptions): Promise<DashboardServer> {
  const { name, address, token, policy, commands, events, ended } = options;
  // It takes megabytes, so only one who is asked for it loads it.
  const { DashboardServer: Server, localLink, pageFiles } = await import("@peregrine/dashboard");
  const guest = {
    id: name,
    place: "this agent",
    open: () => Promise.resolve(localLink(commands, events, ended)),
  };
  const find = [() => Promise.resolve([guest])];
  return Server.listen({ address, token, find, files: await pageFiles(), policy, version: VERSION });
}
