import { MigrationError } from "@peregrine/protocol";
import { expect, test } from "vitest";
import { formatUri } from "./address.ts";
import { listeningFixture, transportCompliance } from "./testing/index.ts";
import { readAll } from "./testing/streams.ts";
import { connect, listen } from "./uri.ts";

transportCompliance(
  "tcp",
  {
    medium: "connection",
    listens: true,
    gathers: true,
    gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
  },
  () => listeningFixture({ uri: "tcp:127.0.0.1:0" }),
);

/** Neither a divisor nor a multiple of what is sent. */
const readBuffer = (): Uint8Array => new Uint8Array(100_003);

transportCompliance(
  "tcp with read buffers",
  {
    medium: "connection",
    listens: true,
    gathers: true,
    scatters: true,
    gone: /^Connection to '.+' failed: (Broken pipe|Connection reset by peer)$/u,
  },
  () =>
    listeningFixture({
      uri: "tcp:127.0.0.1:0",
      listenOptions: { readBuffer },
      connectOptions: { readBuffer },
    }),
);

test("what is read lies in the read buffer, from the moment that somebody wants more than what tells the peer's kind", async () => {
  const buffer = new Uint8Array(1000);
  let asked = 0;
  const take = (): Uint8Array => {
    asked++;
    return buffer;
  };
  const listener = await listen("tcp:127.0.0.1:0", { readBuffer: take });
  const [client, server] = await Promise.all([connect(formatUri(listener.address)), listener.accept()]);
  const chunks = server.read();
  const next = async (bytes: string): Promise<Uint8Array> => {
    const [{ value }] = await Promise.all([chunks.next(), client.write(Buffer.from(bytes))]);
    return value!;
  };
  // Byte by byte, as somebody may who wants to have it without being a source.
  for (const byte of "QEV") expect(Buffer.from(await next(byte)).toString()).toBe(byte);
  await next("M");
  expect(asked).toBe(0);
  await next("more");
  const last = await next("and more");
  expect(asked).toBe(1);
  expect(last.buffer).toBe(buffer.buffer);
  expect(Buffer.from(last).toString()).toBe("and more");
  client.destroy();
  server.destroy();
  await listener.close();
});

test("the first read takes little of a sender, whatever the read buffer holds", async () => {
  const buffer = new Uint8Array(1 << 20);
  const listener = await listen("tcp:127.0.0.1:0", { readBuffer: () => buffer });
  const [client, server] = await Promise.all([connect(formatUri(listener.address)), listener.accept()]);
  await client.write(new Uint8Array(200_000));
  const sizes: number[] = [];
  let left = 200_000;
  for await (const { length } of server.read()) {
    sizes.push(length);
    left -= length;
    if (left === 0) break;
  }
  expect(sizes[0]).toBeLessThanOrEqual(16 * 1024);
  expect(Math.max(...sizes)).toBeGreaterThan(16 * 1024);
  client.destroy();
  server.destroy();
  await listener.close();
});

test("a refused connection is told in one sentence", async () => {
  const listener = await listen("tcp:127.0.0.1:0");
  const uri = formatUri(listener.address);
  await listener.close();
  await expect(connect(uri)).rejects.toMatchObject({
    code: "CONNECT_FAILED",
    message: `Failed to connect to '${uri.slice("tcp:".length)}': Connection refused`,
  });
});

test("a name that has several addresses is refused with the same words", async () => {
  const listener = await listen("tcp:127.0.0.1:0");
  const port = listener.address.kind === "tcp" ? listener.address.port : 0;
  await listener.close();
  await expect(connect(`tcp:localhost:${port}`)).rejects.toMatchObject({
    code: "CONNECT_FAILED",
    message: `Failed to connect to 'localhost:${port}': Connection refused`,
  });
});

test("without a host it listens everywhere and connects to this machine", async () => {
  const listener = await listen("tcp::0");
  const port = listener.address.kind === "tcp" ? listener.address.port : 0;
  expect(port).toBeGreaterThan(0);
  const [client, server] = await Promise.all([connect(`tcp::${port}`), listener.accept()]);
  client.destroy();
  server.destroy();
  await listener.close();
});

test("IPv6 addresses are written in brackets", async ({ skip }) => {
  const listener = await listen("tcp:[::1]:0").catch((error: unknown) => {
    skip(
      MigrationError.is(error) && error.message.endsWith("Cannot assign requested address"),
      "no IPv6 here",
    );
    throw error;
  });
  const uri = formatUri(listener.address);
  expect(uri).toMatch(/^tcp:\[::1\]:\d+$/u);
  const [client, server] = await Promise.all([connect(uri), listener.accept()]);
  expect(client.peer).toBe(uri.slice("tcp:".length));
  expect(server.peer).toMatch(/^\[::1\]:\d+$/u);
  client.destroy();
  server.destroy();
  await listener.close();
});

test("connections that nobody accepts are bounded", async () => {
  const waiting = 16;
  const more = 8;
  const listener = await listen("tcp:127.0.0.1:0");
  const uri = formatUri(listener.address);
  const clients = await Promise.all(Array.from({ length: waiting + more }, () => connect(uri)));
  const ended: Promise<unknown>[] = [];
  const dropped = await new Promise<number>((resolve) => {
    let count = 0;
    for (const client of clients) {
      ended.push(
        readAll(client)
          .catch(() => {})
          .then(() => (++count === more ? resolve(count) : undefined)),
      );
    }
  });
  expect(dropped).toBe(more);
  for (let accepted = 0; accepted < waiting; accepted++) {
    const server = await listener.accept();
    await server.write(Buffer.from("welcome"));
    await server.end();
    server.destroy();
  }
  await listener.close();
  await Promise.all(ended);
  expect(clients.filter((client) => client.bytesRead > 0)).toHaveLength(waiting);
  for (const client of clients) client.destroy();
});
