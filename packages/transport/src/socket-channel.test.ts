import type net from "node:net";
import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { SocketChannel } from "./socket-channel.ts";

/** A socket whose kernel takes everything at once. */
function fastSocket(): net.Socket {
  const duplex = new Duplex({
    read: () => {},
    write: (_chunk, _encoding, done) => done(),
  });
  return Object.assign(duplex, { setTimeout: () => duplex }) as unknown as net.Socket;
}

test("a writer that the kernel never holds back lets the rest of the thread have its turn", async () => {
  const channel = new SocketChannel(fastSocket(), "fast", {});
  const chunk = new Uint8Array(256 * 1024);
  let turns = 0;
  const turn = setInterval(() => turns++, 1);
  // Without turns it would go on for ever, and no timeout of the test's would have its turn either.
  const until = performance.now() + 10_000;
  const goesOn = (): boolean => turns < 5 && performance.now() < until;
  while (goesOn()) await channel.write(chunk);
  clearInterval(turn);
  expect(turns).toBe(5);
  channel.destroy();
});

test("two readers at a time are a defect of the caller", async () => {
  const channel = new SocketChannel(fastSocket(), "fast", {});
  const first = channel.read().next();
  await expect(channel.read().next()).rejects.toMatchObject({ code: "INTERNAL" });
  await expect(channel.pass(() => true)).rejects.toMatchObject({ code: "INTERNAL" });
  channel.destroy();
  await expect(first).rejects.toMatchObject({ code: "CHANNEL_FAILED" });
});
