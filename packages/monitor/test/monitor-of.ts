import { AccessToken } from "../src/access/access-token.ts";
import { createCommands } from "../src/commands.ts";
import { agentEvents } from "../src/events.ts";
import { HumanMonitor } from "../src/human/human-monitor.ts";
import type { MonitorServerOptions } from "../src/server.ts";
import type { FakeAgent } from "./fake-agent.ts";
import { TOKEN } from "./token.ts";
import { VERSION } from "./version.ts";

/** Everything that a server needs to serve an agent. */
export function monitorOf(agent: FakeAgent): MonitorServerOptions {
  const commands = createCommands(agent, VERSION);
  return {
    commands,
    human: new HumanMonitor({ agent, commands, version: VERSION }),
    events: agentEvents(agent),
    version: VERSION,
    token: new AccessToken(TOKEN),
  };
}
