import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { loadVectorCalls } from "./descriptors/vector-calls.ts";
import { SocketChannel } from "./socket-channel.ts";
import { gatheringOf, gatherListOf } from "./testing/gathering-channels.ts";

const calls = await loadVectorCalls();

const MiB = 1 << 20;

let child: ChildProcess | undefined;

afterEach(() => {
  child?.kill();
});

/** A connection over TCP from which a shell reads without a pause, in pieces of 64 KiB. */
async function slowlyRead(): Promise<net.Socket> {
  const server = net.createServer();
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const read = `exec 3<>/dev/tcp/127.0.0.1/${port}; while head -c 65536 <&3; do :; done`;
  child = spawn("bash", ["-c", read], { stdio: ["ignore", "ignore", "inherit"] });
  const [socket] = (await once(server, "connection")) as [net.Socket];
  server.close();
  return socket;
}

test.runIf(calls !== undefined)("a peer that is slow and steady leaves others their turns", async () => {
  const channel = new SocketChannel(await slowlyRead(), "slow", {});
  const gathering = await gatheringOf(channel);
  const list = gatherListOf(gathering, [new Uint8Array(64 * MiB)]);
  let turns = 0;
  const counting = setInterval(() => turns++, 1);
  await gathering.write(list);
  clearInterval(counting);
  expect(turns).toBeGreaterThan(10);
  channel.destroy();
});
