import { MigrationError } from "@peregrine/protocol";
import type { TlsFiles, WebSocketAddress } from "./address.ts";

const DEFAULT_PORTS = { ws: 80, wss: 443 } as const;
const TLS_KEYS: ReadonlySet<string> = new Set(["cert", "key", "ca"] satisfies (keyof TlsFiles)[]);

/** `//HOST[:PORT][/PATH]`; of `wss` also `?cert=FILE&key=FILE` or `?ca=FILE`. Errors: BAD_ADDRESS. */
export function parseWebSocketAddress(kind: "ws" | "wss", text: string): WebSocketAddress {
  const url = URL.parse(`${kind}:${text}`);
  const hasMore = url === null || url.username !== "" || url.password !== "" || url.hash !== "";
  if (hasMore || !text.startsWith("//") || /\s/u.test(text)) {
    throw new MigrationError("BAD_ADDRESS", `error parsing address '${text}'`);
  }
  return {
    kind,
    host: url.hostname.replaceAll(/[[\]]/gu, ""),
    port: url.port === "" ? DEFAULT_PORTS[kind] : Number(url.port),
    resource: url.pathname,
    tls: tlsFiles(kind, url.searchParams),
  };
}

function tlsFiles(kind: "ws" | "wss", query: URLSearchParams): TlsFiles {
  for (const [key, path] of query) {
    if (kind === "wss" && TLS_KEYS.has(key) && path !== "") continue;
    throw new MigrationError(
      "BAD_ADDRESS",
      `invalid WebSocket address: '${key}=${path}' is none of ?cert=FILE&key=FILE and ?ca=FILE, which wss:// takes`,
    );
  }
  return Object.fromEntries(query);
}
