import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import { defineCommand, integer } from "../command.ts";
import type { Command } from "../command.ts";
import type { HumanMonitor } from "../human/human-monitor.ts";
import { toTerminal } from "../human/human-session.ts";

/** Lets a client of QMP use the human monitor. */
export function humanMonitorCommand(human: HumanMonitor): Command {
  return defineCommand(
    "human-monitor-command",
    { "command-line": v.string(), "cpu-index": v.optional(integer()) },
    async ({ "command-line": line, "cpu-index": cpu = 0 }, client) => {
      if (cpu !== 0) {
        throw new MigrationError("BAD_PARAMETER", "Parameter 'cpu-index' expects a CPU number");
      }
      let text = "";
      await human.run(line, {
        print: (more) => (text += more),
        client,
        waits: false,
        gone: new AbortController().signal,
      });
      return toTerminal(text);
    },
  );
}
