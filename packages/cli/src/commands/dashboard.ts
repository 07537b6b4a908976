import { DashboardServer, pageFiles } from "@peregrine/dashboard";
import type { FindGuests, KnownGuest } from "@peregrine/dashboard";
import { AccessToken } from "@peregrine/monitor";
import type { QmpConnectOptions } from "@peregrine/monitor";
import { randomBytes } from "node:crypto";
import { constants, setPriority } from "node:os";
import type { DashboardCommandOptions } from "../command-options.ts";
import { HostSignals } from "../host-signals.ts";
import { connectToMonitor } from "../monitor-link.ts";
import { openRegistry } from "../open-registry.ts";
import type { Registry } from "../registry.ts";
import { clientTls, openObjects } from "../tls-options.ts";
import { VERSION } from "../version.ts";
import { say } from "./say.ts";

/** An agent that has not answered by then is not going to. Milliseconds. */
const CONNECT_TIMEOUT_MS = 5000;

const TOKEN_BYTES = 24;

/** `peregrine dashboard`: serves the page for the guests of this user, and of other agents, until a signal ends it. */
export async function dashboardCommand(options: DashboardCommandOptions): Promise<number> {
  const { address, token, agents, agentToken, policy, tls } = options;
  const signals = new HostSignals();
  try {
    const registry = await openRegistry();
    const objects = await openObjects(options.objects);
    const others = agents.map((uri) =>
      known(uri, uri, uri, { token: agentToken, tls: clientTls(objects, tls, uri) }),
    );
    const files = await pageFiles();
    const made = token === undefined ? randomBytes(TOKEN_BYTES).toString("base64url") : undefined;
    const server = await DashboardServer.listen({
      address,
      token: new AccessToken(token ?? made!),
      find: [ofThisUser(registry), () => Promise.resolve(others)],
      files,
      policy,
      version: VERSION,
    });
    // The fragment of an address stays in the browser. A token that was given is never printed.
    say(`The dashboard is at ${server.url}${made === undefined ? "" : `#token=${made}`}`);
    // The page is for looking: what it shows comes first.
    setPriority(constants.priority.PRIORITY_LOW);
    await signals.first;
    await server.close();
    return 0;
  } finally {
    signals.dispose();
  }
}

function ofThisUser(registry: Registry): FindGuests {
  return async () =>
    (await registry.sockets()).map((name) => known(name, "this host", `unix:${registry.socketOf(name)}`));
}

function known(
  id: string,
  place: string,
  uri: string,
  security: Pick<QmpConnectOptions, "token" | "tls"> = {},
): KnownGuest {
  return {
    id,
    place,
    open: () => connectToMonitor(uri, security, CONNECT_TIMEOUT_MS),
  };
}
