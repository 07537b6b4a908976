import { formatUri, parseUri } from "@peregrine/transport";
import { resolve } from "node:path";

/** With the path made absolute: an agent has another working directory than the command. Errors: UNKNOWN_SCHEME, BAD_ADDRESS. */
export function absoluteUri(uri: string): string {
  const address = parseUri(uri, "outgoing");
  return "path" in address ? formatUri({ ...address, path: resolve(address.path) }) : uri;
}
