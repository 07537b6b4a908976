import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command } from "../command.ts";

/** What is asked about the guest, and how it is stopped and continued. */
export function guestCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("query-status", {}, () => agent.queryStatus()),
    defineCommand("query-name", {}, async () => {
      const { name } = await agent.info();
      return name === null ? {} : { name };
    }),
    defineCommand("stop", {}, () => agent.stop()),
    defineCommand("cont", {}, () => agent.cont()),
    defineCommand("quit", {}, () => agent.quit()),
  ];
}
