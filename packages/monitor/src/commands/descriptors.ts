import { MigrationError } from "@peregrine/protocol";
import * as v from "valibot";
import type { AgentControl } from "../agent-control.ts";
import { defineCommand } from "../command.ts";
import type { Command, CommandClient } from "../command.ts";

/** Descriptors that clients hand over, for `fd:NAME`. */
export function descriptorCommands(agent: AgentControl): readonly Command[] {
  return [
    defineCommand("getfd", { fdname: v.string() }, ({ fdname }, client) =>
      agent.addDescriptor(fdname, takeDescriptor(client)),
    ),
    defineCommand("closefd", { fdname: v.string() }, ({ fdname }) => agent.removeDescriptor(fdname)),
  ];
}

/** Errors: BAD_PARAMETER, in QEMU's words where one could have come. */
function takeDescriptor({ descriptors }: CommandClient): number {
  if (descriptors === undefined) {
    throw new MigrationError(
      "BAD_PARAMETER",
      "No file descriptor can come over this connection: connect to a unix socket of an agent that has the package koffi",
    );
  }
  const descriptor = descriptors.take();
  if (descriptor !== undefined) return descriptor;
  throw new MigrationError("BAD_PARAMETER", "No file descriptor supplied via SCM_RIGHTS");
}
