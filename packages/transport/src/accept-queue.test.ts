import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { AcceptQueue } from "./accept-queue.ts";
import type { ByteSocket } from "./socket-channel.ts";

function socket(): ByteSocket {
  return Object.assign(new PassThrough(), { setTimeout: () => undefined });
}

test("connections that nobody accepts are dropped when there are too many, and those before them are still good", async () => {
  const queue = new AcceptQueue({
    name: "here",
    address: { kind: "tcp", host: "127.0.0.1", port: 1 },
    channelOptions: {},
    stop: () => undefined,
  });
  const sockets = Array.from({ length: 17 }, socket);
  for (const [index, one] of sockets.entries()) queue.add(one, `peer ${index}`);
  expect(sockets.map(({ destroyed }) => destroyed)).toEqual([...Array<boolean>(16).fill(false), true]);

  const first = await queue.accept();
  expect(first.peer).toBe("peer 0");
  const late = socket();
  queue.add(late, "late");
  expect(late.destroyed).toBe(false);
  first.destroy();
  await queue.close();
  expect([...sockets, late].every(({ destroyed }) => destroyed)).toBe(true);
});
