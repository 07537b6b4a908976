import { isLoopback } from "@peregrine/monitor";
import { STATUS_CODES } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { PageFiles } from "./page-files.ts";

/** What the page may load and connect to: what comes from here, and nothing written into the page itself. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join("; ");

const HEADERS = {
  "Content-Security-Policy": CONTENT_SECURITY_POLICY,
  "X-Content-Type-Options": "nosniff",
  "X-Frame-Options": "DENY",
  "Referrer-Policy": "no-referrer",
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Cache-Control": "no-cache",
};

/** The name or address in a `Host` header. */
export function hostName(host: string | undefined): string | undefined {
  return URL.parse(`http://${host ?? ""}`)?.hostname;
}

/**
 * Answers a request for a file of the page. The files hold nothing that is secret, so no token is needed; a client that
 * has found this machine by another name gets nothing all the same.
 */
export function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { files, stamp }: PageFiles,
): void {
  const fail = (status: number, more: Record<string, string> = {}): void => {
    const text = `${STATUS_CODES[status]!}\n`;
    response
      .writeHead(status, { ...HEADERS, "Content-Type": "text/plain; charset=utf-8", ...more })
      .end(text);
  };
  if (!isLoopback(hostName(request.headers.host) ?? "")) return fail(403);
  if (request.method !== "GET" && request.method !== "HEAD") return fail(405, { Allow: "GET, HEAD" });
  const path = request.url?.split("?")[0] ?? "";
  const name = path === "/" ? "index.html" : path.slice(1);
  const file = Object.hasOwn(files, name) ? files[name] : undefined;
  if (file === undefined) return fail(404);
  const tag = `"${stamp}"`;
  if (request.headers["if-none-match"] === tag) {
    response.writeHead(304, { ...HEADERS, ETag: tag }).end();
    return;
  }
  const body = Buffer.from(file.text);
  const headers = { ...HEADERS, "Content-Type": file.type, "Content-Length": body.length, ETag: tag };
  response.writeHead(200, headers).end(request.method === "HEAD" ? undefined : body);
}
