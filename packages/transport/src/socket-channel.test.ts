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
  const count = (): void => {
    turns++;
    turn = setImmediate(count);
  };
  let turn = setImmediate(count);
  for (let written = 0; written < 64 * 1024 * 1024; written += chunk.length) await channel.write(chunk);
  clearImmediate(turn);
  expect(turns).toBeGreaterThanOrEqual(7);
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
