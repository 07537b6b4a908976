import type { ParameterName } from "@peregrine/shared-state";
import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand, integer } from "../command.ts";
import type { Command } from "../command.ts";

const PARAMETERS = {
  "announce-initial": v.exactOptional(v.unknown()),
  "announce-max": v.exactOptional(v.unknown()),
  "announce-rounds": v.exactOptional(v.unknown()),
  "announce-step": v.exactOptional(v.unknown()),
  "throttle-trigger-threshold": v.exactOptional(v.unknown()),
  "cpu-throttle-initial": v.exactOptional(v.unknown()),
  "cpu-throttle-increment": v.exactOptional(v.unknown()),
  "cpu-throttle-tailslow": v.exactOptional(v.unknown()),
  "avail-switchover-bandwidth": v.exactOptional(v.unknown()),
  "max-cpu-throttle": v.exactOptional(v.unknown()),
  "max-bandwidth": v.exactOptional(v.unknown()),
  "downtime-limit": v.exactOptional(v.unknown()),
  "xbzrle-cache-size": v.exactOptional(v.unknown()),
  "multifd-channels": v.exactOptional(v.unknown()),
  "multifd-compression": v.exactOptional(v.unknown()),
  "multifd-zlib-level": v.exactOptional(v.unknown()),
  "multifd-zstd-level": v.exactOptional(v.unknown()),
  "tls-creds": v.exactOptional(v.unknown()),
  "tls-hostname": v.exactOptional(v.unknown()),
  "tls-authz": v.exactOptional(v.unknown()),
} satisfies Record<ParameterName, unknown>;

/** The parameters of migrations, also by the older commands that set one each. */
export function parameterCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("migrate-set-parameters", PARAMETERS, (changes) => agent.setParameters(changes)),
    defineCommand("query-migrate-parameters", {}, () => agent.queryParameters()),
    defineCommand("migrate_set_speed", { value: integer() }, ({ value }) => agent.setSpeed(value)),
    defineCommand("migrate_set_downtime", { value: v.number() }, ({ value }) => agent.setDowntime(value)),
    defineCommand("migrate-set-cache-size", { value: integer() }, ({ value }) => agent.setCacheSize(value)),
    defineCommand("query-migrate-cache-size", {}, async () => {
      const parameters = await agent.queryParameters();
      return parameters["xbzrle-cache-size"];
    }),
  ];
}
