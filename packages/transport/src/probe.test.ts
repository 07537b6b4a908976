import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import tls from "node:tls";
import { expect, test } from "vitest";
import { probe } from "./probe.ts";
import { bothSides } from "./testing/tls-sides.ts";
import { GREETING_PROTOCOL } from "./tls/verdict.ts";

test("a destination that does not say whether it accepts this side is waited for as long as the signal lets", async () => {
  const folder = await mkdtemp(join(tmpdir(), "peregrine-probe-"));
  const { client, server } = await bothSides(folder);
  const { credentials } = server;
  if (credentials.kind !== "x509") throw new Error("no certificates");
  const { certificate: cert, key } = credentials.own!;
  const silent = tls.createServer({ cert, key, ALPNProtocols: [GREETING_PROTOCOL] });
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const sockets: tls.TLSSocket[] = [];
  const met = new Promise<void>((resolve) => {
    silent.on("secureConnection", (socket) => {
      socket.on("error", () => {});
      sockets.push(socket);
      resolve();
    });
  });
  const stop = new AbortController();
  const { port } = silent.address() as AddressInfo;
  const probing = probe(`tcp:127.0.0.1:${port}`, { tls: client, signal: stop.signal });
  await met;
  stop.abort(new Error("enough"));
  await expect(probing).rejects.toThrow(/^Connecting to .* was /u);
  for (const socket of sockets) socket.destroy();
  silent.close();
  await rm(folder, { recursive: true });
});
