import { MigrationError } from "@peregrine/protocol";
import { parseUri } from "@peregrine/transport";
import type { Direction } from "@peregrine/transport";

/** What the clients of a monitor may have the agent open, beside connections over the network. */
export interface OpeningPolicy {
  /** Commands, by `exec:`. Whoever can have one run can do whatever the agent's user can. */
  readonly exec: boolean;
  /** Clients over the network may name files, unix sockets and descriptors of the agent's host. */
  readonly hostFromNetwork: boolean;
}

/** The policy of an agent that was given no switch: no commands, and nothing of the host for clients over the network. */
export const NOTHING_OPEN: OpeningPolicy = { exec: false, hostFromNetwork: false };

/** Where a migration goes or comes from, seen by what has to be opened for it. */
type Opened = "command" | "host" | "network";

/**
 * Refuses a URI that stands for something which is not open to a client.
 * @param fromNetwork whether the client came by TCP or WebSocket.
 * Errors: EXEC_NOT_ALLOWED, NOT_FROM_NETWORK. What is wrong with the URI itself is for whoever opens it to say.
 */
export function checkOpening(
  uri: string,
  direction: Direction,
  policy: OpeningPolicy,
  fromNetwork: boolean,
): void {
  const opened = openedBy(uri, direction);
  if (opened === "command" && !policy.exec) {
    throw new MigrationError(
      "EXEC_NOT_ALLOWED",
      "This agent runs no commands: start it with --allow-exec to use exec:",
    );
  }
  if (opened === "host" && fromNetwork && !policy.hostFromNetwork) {
    throw new MigrationError(
      "NOT_FROM_NETWORK",
      "A client that comes over the network may name tcp:, ws: and wss: without files: use the agent's unix socket, or start it with --allow-host-uris",
    );
  }
}

/**
 * Refuses a property that names a file or a directory, of a client that may name none.
 * @param fromNetwork whether the client came by TCP or WebSocket.
 * Errors: NOT_FROM_NETWORK.
 */
export function checkPath(property: string, policy: OpeningPolicy, fromNetwork: boolean): void {
  if (!fromNetwork || policy.hostFromNetwork) return;
  throw new MigrationError(
    "NOT_FROM_NETWORK",
    `A client that comes over the network may name no files of this host, as '${property}' does: use the agent's unix socket, or start it with --allow-host-uris`,
  );
}

function openedBy(uri: string, direction: Direction): Opened {
  let address;
  try {
    address = parseUri(uri, direction);
  } catch {
    return "network";
  }
  switch (address.kind) {
    case "exec":
      return "command";
    case "file":
    case "fd":
    case "unix":
      return "host";
    case "tcp":
      return "network";
    default:
      return Object.keys(address.tls).length === 0 ? "network" : "host";
  }
}
