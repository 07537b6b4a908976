import type { DashboardAddress } from "@peregrine/dashboard/address";
import type { ObjectProperties } from "@peregrine/transport";
import type { Command } from "commander";
import type { CommandHandlers, Finish } from "./command-options.ts";
import { takeMonitorToken } from "./monitor-token.ts";
import * as value from "./option-values.ts";
import { objectOption } from "./tls-options.ts";

const DEFAULT_ADDRESS: DashboardAddress = { host: "127.0.0.1", port: 8620 };

interface DashboardFlags {
  readonly agent?: readonly string[];
  readonly tokenFile?: string;
  readonly monitorTokenFile?: string;
  readonly allowHostUris?: boolean;
  readonly object?: readonly ObjectProperties[];
  readonly tlsCreds?: string;
  readonly tlsHostname?: string;
}

/** `peregrine dashboard`. */
export function defineDashboard(command: Command, handlers: CommandHandlers, finish: Finish): void {
  objectOption(command)
    .description("Serves a page that shows the guests of this user and their migrations, and can start them.")
    .argument(
      "[address]",
      "where: HOST:PORT of this machine alone (default: 127.0.0.1:8620)",
      value.dashboardAddress,
    )
    .option(
      "--agent <address>",
      "also show the guest whose monitor is there: tcp:HOST:PORT or unix:PATH; may be repeated",
      value.each(value.monitorUri),
    )
    .option("--token-file <file>", "what pages have to know (default: a new one, which is printed)")
    .option(
      "--monitor-token-file <file>",
      "what those agents want to know; without it, PEREGRINE_MONITOR_TOKEN",
    )
    .option("--tls-creds <id>", "reach those agents over TLS, with the credentials of this --object")
    .option("--tls-hostname <name>", "what their certificates are for, if not the host of the address")
    .option(
      "--allow-host-uris",
      "let pages send guests to files, unix sockets and descriptors of the agents' hosts",
    )
    .action(async (address: DashboardAddress = DEFAULT_ADDRESS, flags: DashboardFlags) => {
      const agentToken = await takeMonitorToken(flags.monitorTokenFile, process.env);
      const token = flags.tokenFile === undefined ? undefined : await takeMonitorToken(flags.tokenFile, {});
      const policy = { exec: false, hostFromNetwork: flags.allowHostUris ?? false };
      const tls = { creds: flags.tlsCreds, hostname: flags.tlsHostname };
      const { agent: agents = [], object: objects = [] } = flags;
      finish(await handlers.dashboard({ address, token, agents, agentToken, objects, tls, policy }));
    });
}
