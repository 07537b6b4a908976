import { MigrationError } from "@peregrine/protocol";
import { formatUri } from "@peregrine/transport";
import * as v from "valibot";
import { integer } from "../command.ts";

const SOCKET_ADDRESS = v.variant("type", [
  v.strictObject({
    transport: v.literal("socket"),
    type: v.literal("inet"),
    host: v.string(),
    port: v.string(),
  }),
  v.strictObject({ transport: v.literal("socket"), type: v.literal("unix"), path: v.string() }),
  v.strictObject({ transport: v.literal("socket"), type: v.literal("fd"), str: v.string() }),
]);

const ADDRESS = v.variant("transport", [
  SOCKET_ADDRESS,
  v.strictObject({ transport: v.literal("exec"), args: v.array(v.string()) }),
  v.strictObject({ transport: v.literal("file"), filename: v.string(), offset: integer() }),
]);

type ChannelAddress = v.InferOutput<typeof ADDRESS>;

/** The arguments that say where a migration goes or comes from: a URI, or an address taken apart. */
export const DESTINATION = {
  uri: v.optional(v.string()),
  channels: v.optional(v.array(v.strictObject({ "channel-type": v.picklist(["main"]), addr: ADDRESS }))),
};

type Destination = v.InferOutput<v.ObjectSchema<typeof DESTINATION, undefined>>;

/** The URI of either form. Errors: BAD_PARAMETER. */
export function uriOf({ uri, channels = [] }: Destination): string {
  const [main, another] = channels;
  if (another !== undefined) {
    throw new MigrationError("BAD_PARAMETER", "Channel list has more than one main entry");
  }
  if (uri !== undefined && main === undefined) return uri;
  if (uri === undefined && main !== undefined) return uriOfAddress(main.addr);
  throw new MigrationError("BAD_PARAMETER", "need either 'uri' or 'channels' argument");
}

function uriOfAddress(address: ChannelAddress): string {
  switch (address.transport) {
    case "socket":
      return uriOfSocket(address);
    case "file":
      // Always with its offset, so that a path that ends like one is taken for a path.
      return `file:${address.filename},offset=${address.offset}`;
    default:
      address.transport satisfies "exec";
      return `exec:${address.args.map(quoted).join(" ")}`;
  }
}

function uriOfSocket(address: v.InferOutput<typeof SOCKET_ADDRESS>): string {
  switch (address.type) {
    case "inet":
      return formatUri({ kind: "tcp", host: address.host, port: portOf(address.port) });
    case "unix":
      return formatUri({ kind: "unix", path: address.path });
    default:
      address.type satisfies "fd";
      return `fd:${address.str}`;
  }
}

function portOf(port: string): number {
  if (/^\d{1,5}$/u.test(port)) return Number(port);
  throw new MigrationError("BAD_ADDRESS", `error parsing address: '${port}' is no port number`);
}

/** As one word of a shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
