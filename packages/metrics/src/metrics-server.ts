import { createServer, STATUS_CODES } from "node:http";
import type { IncomingMessage, Server, ServerResponse } from "node:http";

/** What is accepted of those who ask. */
export const SERVER_LIMITS = {
  /** Connections at a time; more are closed. */
  connections: 8,
  /** Bytes of the request line and all headers. */
  headerBytes: 8 * 1024,
  /** Milliseconds for a request to come, and for its answer to be taken. */
  timeout: 5000,
  /** Requests on one connection. */
  requests: 1000,
  /** Milliseconds after which a wrong token is answered. */
  refusalDelay: 1000,
};

const PATH = "/metrics";

/** Whoever asks without being allowed to learns no more than that. */
export type Authorization = "allowed" | "token-needed" | "wrong-token" | "wrong-host";

export interface MetricsServerOptions {
  readonly render: () => Promise<string>;
  readonly contentType: string;
  readonly authorize: (request: IncomingMessage) => Authorization;
  readonly limits?: Partial<typeof SERVER_LIMITS>;
}

/**
 * An HTTP server that answers `GET /metrics`, and nothing else. It does not listen yet. Nothing of a request but its
 * method, its path and what `authorize` reads is looked at; one with a body is refused before any of that is read.
 */
export function createMetricsServer(options: MetricsServerOptions): Server {
  const { connections, headerBytes, timeout, requests } = { ...SERVER_LIMITS, ...options.limits };
  const server = createServer(
    {
      maxHeaderSize: headerBytes,
      headersTimeout: timeout,
      requestTimeout: timeout,
      keepAliveTimeout: timeout,
      connectionsCheckingInterval: timeout / 4,
    },
    (request, response) => void answer(options, request, response),
  );
  // A connection could not be accepted, for example for want of descriptors. The listener itself is sound.
  server.on("error", () => {});
  server.maxConnections = connections;
  server.maxRequestsPerSocket = requests;
  // Who does not take the answer is as silent as who does not ask.
  server.setTimeout(timeout, (socket) => socket.destroy());
  return server;
}

async function answer(
  { render, contentType, authorize }: MetricsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  // The client may be gone at any moment, which is no concern of the agent.
  response.on("error", () => {});
  const authorization = authorize(request);
  if (authorization !== "allowed") {
    await refuse(response, authorization);
    return;
  }
  const { method, url = "", headers } = request;
  if (headers["content-length"] !== undefined || headers["transfer-encoding"] !== undefined) {
    end(response, 413, { Connection: "close" });
  } else if (url.split("?", 1)[0] !== PATH) {
    end(response, 404);
  } else if (method !== "GET" && method !== "HEAD") {
    end(response, 405, { Allow: "GET, HEAD" });
  } else {
    // A defect here is no reason for a guest to end. The next scrape shows the same, and what it is not told.
    const text = await render().catch(() => undefined);
    if (text === undefined) end(response, 500);
    else end(response, 200, { "Content-Type": contentType }, method === "HEAD" ? "" : text);
  }
}

async function refuse(response: ServerResponse, why: Exclude<Authorization, "allowed">): Promise<void> {
  if (why === "wrong-host") {
    end(response, 403, { Connection: "close" });
    return;
  }
  // Guessing is slow; with as few connections as there may be, it is hopeless.
  if (why === "wrong-token") {
    await new Promise((resolve) => setTimeout(resolve, SERVER_LIMITS.refusalDelay).unref());
  }
  end(response, 401, { "WWW-Authenticate": 'Bearer realm="metrics"', Connection: "close" });
}

function end(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
  text = `${STATUS_CODES[status]}\n`,
): void {
  response.writeHead(status, {
    "Content-Type": "text/plain; charset=utf-8",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    ...headers,
  });
  response.end(text);
}
