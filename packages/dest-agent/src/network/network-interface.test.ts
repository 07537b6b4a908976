import { encodeSelfAnnounce, parseMac } from "@peregrine/protocol";
import type { MigrationError } from "@peregrine/protocol";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, expect, test } from "vitest";
import { NetworkInterface } from "./network-interface.ts";

const MAC = "52:54:00:12:34:56";
const FRAME = Buffer.concat([Uint8Array.of(0, 0, 0, 60), encodeSelfAnnounce(parseMac(MAC))]);

const folder = mkdtempSync(join(tmpdir(), "nic-"));
const path = join(folder, "lan");
const ends: (() => void)[] = [];

afterEach(() => {
  for (const end of ends.splice(0)) end();
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

function interfaceOn(netdev: string): {
  readonly nic: NetworkInterface;
  readonly warnings: MigrationError[];
} {
  const warnings: MigrationError[] = [];
  const nic = new NetworkInterface({ id: "net0", mac: MAC, netdev }, (error) => warnings.push(error));
  ends.push(() => nic.close());
  return { nic, warnings };
}

/** Collects what comes on the first connection. */
async function lan(): Promise<{ readonly bytes: () => Buffer }> {
  let bytes = Buffer.alloc(0);
  const server = net.createServer((socket) => {
    ends.push(() => socket.destroy());
    socket.on("data", (chunk) => {
      bytes = Buffer.concat([bytes, chunk]);
    });
  });
  ends.push(() => server.close());
  await once(server.listen(path), "listening");
  return { bytes: () => bytes };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

test("an interface sends nothing before it is announced, and then its frame", async () => {
  const { bytes } = await lan();
  const { nic, warnings } = interfaceOn(`stream:unix:${path}`);
  expect(nic.counts).toEqual({ sent: 0, lost: 0 });
  nic.announce();
  await until(() => bytes().length === FRAME.length);
  nic.announce();
  await until(() => bytes().length === 2 * FRAME.length);
  expect(bytes()).toEqual(Buffer.concat([FRAME, FRAME]));
  expect(nic.counts).toEqual({ sent: 2, lost: 0 });
  expect(warnings).toEqual([]);
});

test("a network that cannot be reached is told once, and again when it could be meanwhile", async () => {
  const { nic, warnings } = interfaceOn(`stream:unix:${path}`);
  for (const lost of [1, 2]) {
    nic.announce();
    await until(() => nic.counts.lost === lost);
  }
  expect(warnings.map(({ message }) => message)).toEqual([
    `Failed to connect to '${path}': No such file or directory`,
  ]);
  const { bytes } = await lan();
  nic.announce();
  await until(() => nic.counts.sent === 1);
  await until(() => bytes().length === FRAME.length);
  for (const end of ends.splice(1)) end();
  while (warnings.length === 1) {
    nic.announce();
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  expect(warnings).toHaveLength(2);
});

test("behind a frame that is being sent wait up to eight", async () => {
  const { bytes } = await lan();
  const { nic } = interfaceOn(`stream:unix:${path}`);
  for (let count = 0; count < 10; count++) nic.announce();
  expect(nic.counts).toEqual({ sent: 0, lost: 1 });
  await until(() => bytes().length === 9 * FRAME.length);
  expect(nic.counts).toEqual({ sent: 9, lost: 1 });
});

test("an interface that is closed while it connects does not complain", async () => {
  await lan();
  const { nic, warnings } = interfaceOn(`stream:unix:${path}`);
  nic.announce();
  nic.announce();
  nic.close();
  await until(() => nic.counts.lost === 2);
  expect(warnings).toEqual([]);
});

test.each([
  ["52:54:00", "stream:unix:/x", "'52:54:00' is no MAC address such as 52:54:00:12:34:56"],
  [MAC, "tap:0", "'tap:0' is no netdev"],
])("the MAC address %s at %s is refused", (mac, netdev, message) => {
  expect(() => new NetworkInterface({ id: "net0", mac, netdev }, () => undefined)).toThrow(message);
});
