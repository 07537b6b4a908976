import { formatUri, parseUri } from "@peregrine/transport";
import { resolve } from "node:path";

/**
 * With the paths made absolute: an agent has another working directory than the command. The words of `exec:` and the
 * numbers of `fd:` stay as they are: they mean something to the agent alone. Errors: UNKNOWN_SCHEME, BAD_ADDRESS.
 */
export function absoluteUri(uri: string): string {
  const address = parseUri(uri, "outgoing");
  switch (address.kind) {
    case "unix":
    case "file":
      return formatUri({ ...address, path: resolve(address.path) });
    case "wss": {
      const files = Object.entries(address.tls).map(([key, path]: [string, string]) => [key, resolve(path)]);
      return formatUri({ ...address, tls: Object.fromEntries(files) });
    }
    default:
      return uri;
  }
}
