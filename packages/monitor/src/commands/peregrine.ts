import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command, OpeningChecks } from "../command.ts";

/** Of a picture of guest memory: an answer of 64 KiB. */
const MOST_CELLS = 16_384;

const CELLS = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST_CELLS));

/** What QEMU does not have. */
export function peregrineCommands(agent: AgentControl, checks: OpeningChecks): readonly Command[] {
  return [
    defineCommand("x-peregrine-info", {}, (_, client) => agent.info(client)),
    defineCommand("x-peregrine-observe", { cells: v.exactOptional(CELLS) }, async ({ cells = 0 }, client) => {
      const { memory, ...rest } = await agent.observe(cells, client);
      return {
        ...rest,
        memory: memory && { ...memory, cells: Buffer.from(memory.cells).toString("base64") },
      };
    }),
    defineCommand(
      "x-peregrine-migrate",
      {
        uri: v.string(),
        storage: v.exactOptional(v.picklist(["all", "inc"])),
        paused: v.exactOptional(v.boolean()),
        copy: v.exactOptional(v.boolean()),
      },
      ({ uri, ...request }, client) => {
        checks.uri(uri, "outgoing", client);
        return agent.migrate(uri, request, client);
      },
    ),
    defineCommand("x-peregrine-switchover", {}, () => agent.switchOverNow()),
    defineCommand("x-peregrine-converge", {}, () => agent.convergeNow()),
    defineCommand("x-peregrine-resolve", { as: v.picklist(["owner", "gone"]) }, ({ as }) =>
      agent.resolve(as),
    ),
    defineCommand(
      "x-peregrine-copy",
      { uri: v.string(), tls: v.exactOptional(v.boolean()) },
      ({ uri, tls }, client) => {
        checks.uri(uri, "outgoing", client);
        return agent.copy(uri, tls);
      },
    ),
  ];
}
