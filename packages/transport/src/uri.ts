import { MigrationError } from "@peregrine/protocol";
import type { Address } from "./address.ts";
import type { Channel, ConnectOptions, Listener, ListenOptions, SocketTarget, Transport } from "./channel.ts";
import { exec } from "./exec.ts";
import { fd } from "./fd.ts";
import { file } from "./file.ts";
import { tcp } from "./tcp.ts";
import { unix } from "./unix.ts";
import { ws, wss } from "./web-socket.ts";

/** Whether a guest is sent, or awaited. */
export type Direction = "outgoing" | "incoming";

/** Every transport by its scheme. A new one is an entry here and a member of {@link Address}. */
const TRANSPORTS: ReadonlyMap<string, Transport> = new Map([
  ["tcp", tcp],
  ["unix", unix],
  ["exec", exec],
  ["fd", fd],
  ["file", file],
  ["ws", ws],
  ["wss", wss],
]);

const WITH_TLS: ReadonlySet<Address["kind"]> = new Set(["tcp", "unix", "wss"]);

/** Understands `SCHEME:REST`. Errors: UNKNOWN_SCHEME, worded for the direction; BAD_ADDRESS. */
export function parseUri(uri: string, direction: Direction = "outgoing"): Address {
  const { transport, rest } = transportOf(uri, direction);
  return transport.parse(rest);
}

/** Opens a channel to `uri`. Errors: UNKNOWN_SCHEME, BAD_ADDRESS, CONNECT_FAILED; CANCELLED by the signal. */
export async function connect(uri: string, options: ConnectOptions = {}): Promise<Channel> {
  const { transport, rest } = transportOf(uri, "outgoing");
  if (options.tls !== undefined) requireTls(transport.parse(rest));
  return transport.connect(rest, options);
}

/** Listens on `uri`; the options are those of the channels. Errors: UNKNOWN_SCHEME, BAD_ADDRESS, LISTEN_FAILED. */
export async function listen(uri: string, options: ListenOptions = {}): Promise<Listener> {
  const { transport, rest } = transportOf(uri, "incoming");
  if (options.tls !== undefined) requireTls(transport.parse(rest));
  return transport.listen(rest, options);
}

/** Where `uri` connects. Undefined for what has no sockets of the system below it. Errors: UNKNOWN_SCHEME, BAD_ADDRESS. */
export function socketTarget(uri: string): SocketTarget | undefined {
  const { transport, rest } = transportOf(uri, "outgoing");
  return transport.target?.(rest);
}

/** Errors: BAD_PARAMETER where bytes would go out as they are although TLS was asked for. */
export function requireTls({ kind }: Address): void {
  if (WITH_TLS.has(kind)) return;
  const instead = kind === "ws" ? "wss:// has it" : "tcp:, unix: and wss:// have it";
  throw new MigrationError(
    "BAD_PARAMETER",
    `There is no TLS over '${kind}:', and tls-creds is set: ${instead}`,
  );
}

function transportOf(uri: string, direction: Direction): { transport: Transport; rest: string } {
  const colon = uri.indexOf(":");
  const transport = TRANSPORTS.get(uri.slice(0, Math.max(colon, 0)));
  if (transport === undefined) {
    const text =
      direction === "outgoing"
        ? "Parameter 'uri' expects a valid migration protocol"
        : `unknown migration protocol: ${uri}`;
    throw new MigrationError("UNKNOWN_SCHEME", text);
  }
  return { transport, rest: uri.slice(colon + 1) };
}
