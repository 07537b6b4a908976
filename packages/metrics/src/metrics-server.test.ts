import { once } from "node:events";
import { request } from "node:http";
import type { Server } from "node:http";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { createMetricsServer, SERVER_LIMITS } from "./metrics-server.ts";
import type { Authorization } from "./metrics-server.ts";

let server: Server | undefined;

afterEach(() => {
  server?.close();
  server?.closeAllConnections();
});

/** @returns the port. */
async function start(
  authorize: (token: string | undefined) => Authorization = () => "allowed",
  render: () => Promise<string> = () => Promise.resolve("a_total 1\n"),
  limits: Partial<typeof SERVER_LIMITS> = {},
): Promise<number> {
  const started = createMetricsServer({
    render,
    contentType: "text/plain; version=0.0.4",
    authorize: ({ headers }) => authorize(headers.authorization),
    limits,
  });
  server = started;
  started.listen(0, "127.0.0.1");
  await once(started, "listening");
  return (started.address() as AddressInfo).port;
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

async function ask(
  port: number,
  { path = "/metrics", method = "GET", headers = {}, body }: AskOptions = {},
): Promise<Answer> {
  const asked = request({ port, host: "127.0.0.1", path, method, headers, agent: false });
  asked.end(body);
  const [response] = (await once(asked, "response")) as [import("node:http").IncomingMessage];
  let text = "";
  for await (const part of response.setEncoding("utf8")) text += part as string;
  return { status: response.statusCode, headers: response.headers, body: text };
}

interface AskOptions {
  readonly path?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** Sends something that is not always HTTP. @returns everything that comes until the end. */
async function raw(socket: Socket): Promise<string> {
  let text = "";
  for await (const part of socket.setEncoding("latin1")) text += part as string;
  return text;
}

/** The same of a connection that may be dropped with something in it that was not read, and so be reset. */
async function untilClosed(socket: Socket): Promise<string> {
  let text = "";
  socket.setEncoding("latin1").on("data", (part: string) => (text += part));
  socket.on("error", () => {});
  await new Promise((resolve) => {
    socket.once("close", resolve);
  });
  return text;
}

test("metrics are given to who asks for them, and nothing else is", async () => {
  const port = await start();
  expect(await ask(port)).toMatchObject({
    status: 200,
    body: "a_total 1\n",
    headers: { "content-type": "text/plain; version=0.0.4", "cache-control": "no-store" },
  });
  expect(await ask(port, { path: "/metrics?name=x" })).toMatchObject({ status: 200 });
  expect(await ask(port, { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
  expect(await ask(port, { path: "/" })).toMatchObject({ status: 404 });
  expect(await ask(port, { path: "/metrics/../etc" })).toMatchObject({ status: 404 });
  expect(await ask(port, { method: "DELETE" })).toMatchObject({
    status: 405,
    headers: { allow: "GET, HEAD" },
  });
  expect(await ask(port, { method: "POST", body: "x" })).toMatchObject({ status: 413 });
});

test("who is not allowed to learns nothing, also not what there is", async () => {
  const port = await start((token) => {
    if (token === undefined) return "token-needed";
    return token === "Bearer right" ? "allowed" : "wrong-token";
  });
  const refused = { status: 401, body: "Unauthorized\n" };
  expect(await ask(port)).toMatchObject({
    ...refused,
    headers: { "www-authenticate": 'Bearer realm="metrics"' },
  });
  expect(await ask(port, { path: "/other" })).toMatchObject(refused);
  const before = performance.now();
  expect(await ask(port, { headers: { authorization: "Bearer wrong" } })).toMatchObject(refused);
  expect(performance.now() - before).toBeGreaterThanOrEqual(SERVER_LIMITS.refusalDelay * 0.95);
  expect(await ask(port, { headers: { authorization: "Bearer right" } })).toMatchObject({ status: 200 });
});

test("a name that was made to point here is refused", async () => {
  const port = await start(() => "wrong-host");
  expect(await ask(port)).toMatchObject({ status: 403, body: "Forbidden\n" });
});

test("headers that are too long, and what is not HTTP, end the connection", async () => {
  const port = await start();
  expect(await ask(port, { headers: { "x-long": "x".repeat(SERVER_LIMITS.headerBytes) } })).toMatchObject({
    status: 431,
  });
  const socket = connect(port, "127.0.0.1");
  socket.write("\0\0\0\0\r\n\r\n");
  expect(await raw(socket)).toMatch(/^HTTP\/1.1 400 /u);
});

test("more connections than there may be are closed, and those that are there are not harmed", async () => {
  const port = await start();
  const held = Array.from({ length: SERVER_LIMITS.connections }, () => connect(port, "127.0.0.1"));
  await Promise.all(held.map((socket) => once(socket, "connect")));
  // The server has taken all of them once it has answered the last one.
  held.at(-1)!.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(held.at(-1)!, "data");
  expect(await raw(connect(port, "127.0.0.1"))).toBe("");
  held[0]!.write("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  const [data] = (await once(held[0]!, "data")) as [Buffer];
  expect(data.toString()).toMatch(/^HTTP\/1.1 200 /u);
  for (const socket of held) socket.destroy();
});

test("a defect in a metric is an answer, and ends nothing", async () => {
  const port = await start(undefined, () => Promise.reject(new Error("a defect")));
  expect(await ask(port)).toMatchObject({ status: 500, body: "Internal Server Error\n" });
  expect(await ask(port)).toMatchObject({ status: 500 });
});

test("whoever asks for nothing, or not to the end, is dropped after a while", async () => {
  const port = await start(undefined, undefined, { timeout: 100 });
  const [silent, slow] = [connect(port, "127.0.0.1"), connect(port, "127.0.0.1")];
  slow.write("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n");
  const [nothing, little] = await Promise.all([untilClosed(silent), untilClosed(slow)]);
  expect(nothing).not.toContain("a_total");
  expect(little).not.toContain("a_total");
  // Who asks now need not be that fast on a busy machine.
  Object.assign(server!, { timeout: 0, headersTimeout: 0, requestTimeout: 0 });
  expect(await ask(port)).toMatchObject({ status: 200 });
});

test("a connection is closed after so many requests", async () => {
  const port = await start(undefined, undefined, { requests: 3 });
  const socket = connect(port, "127.0.0.1");
  for (let count = 0; count < 5; count++) socket.write("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
  const text = await raw(socket);
  expect(text.match(/a_total 1/gu)).toHaveLength(3);
});
