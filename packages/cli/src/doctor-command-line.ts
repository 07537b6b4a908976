import type { ObjectProperties } from "@peregrine/transport";
import type { Command } from "commander";
import type { CommandHandlers, Finish } from "./command-options.ts";
import * as value from "./option-values.ts";
import { absoluteObject, objectOption } from "./tls-options.ts";

interface DoctorFlags {
  readonly incoming?: boolean;
  readonly connect: boolean;
  readonly object?: readonly ObjectProperties[];
  readonly tlsCreds?: string;
  readonly tlsHostname?: string;
  readonly tlsAuthz?: string;
  readonly memory?: number;
  readonly program?: string;
  readonly json?: boolean;
}

/** `peregrine doctor`. */
export function defineDoctor(command: Command, handlers: CommandHandlers, finish: Finish): void {
  objectOption(command)
    .description(
      "Looks whether a migration could go there, sends nothing, and names what is wrong. Ends with status 0 when all is well.",
    )
    .argument(
      "[uri]",
      "where the guest is to go, as for peregrine migrate; without it only this host is looked at",
    )
    .option("--incoming", "look whether a guest could be awaited there, as for peregrine receive")
    .option(
      "--no-connect",
      "do not connect: a QEMU that waits without TLS takes any connection for its source",
    )
    .option("--tls-creds <id>", "with TLS, and the credentials of this --object")
    .option("--tls-hostname <name>", "what the destination's certificate is for, if not the host of the URI")
    .option("--tls-authz <id>", "with --incoming: let in only whom this --object allows")
    .option("--memory <bytes>", "whether so much memory is free, or room in the file", value.memorySize)
    .option("--program <file>", "whether this module can be run, and is in the cache")
    .option("--json", "as JSON")
    .action(async (uri: string | undefined, flags: DoctorFlags) => {
      const { incoming = false, connect, object = [], memory, program, json = false } = flags;
      if (uri === undefined) needsUri(command, flags);
      if (incoming && !connect)
        command.error("error: options '--incoming' and '--no-connect' exclude each other");
      if (!incoming && flags.tlsAuthz !== undefined) {
        command.error("error: option '--tls-authz <id>' is for --incoming");
      }
      if (incoming && flags.tlsHostname !== undefined) {
        command.error("error: option '--tls-hostname <name>' is not for --incoming");
      }
      const tls = { creds: flags.tlsCreds, hostname: flags.tlsHostname, authz: flags.tlsAuthz };
      const objects = object.map(absoluteObject);
      finish(
        await handlers.doctor({ uri, incoming, connects: connect, objects, tls, memory, program, json }),
      );
    });
}

function needsUri(command: Command, { incoming, connect, tlsCreds }: DoctorFlags): void {
  if (incoming === true) command.error("error: option '--incoming' needs a URI");
  if (!connect) command.error("error: option '--no-connect' needs a URI");
  if (tlsCreds !== undefined) command.error("error: option '--tls-creds <id>' needs a URI");
}
