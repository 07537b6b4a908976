import { once } from "node:events";
import net from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

const MAC = "52:54:00:12:34:56";
/** Bytes of an announcement on a stream. */
const ON_STREAM = 64;

/** The other end of an interface. */
class Lan {
  readonly path: string;
  bytes = 0;
  connections = 0;
  readonly #server = net.createServer((socket) => {
    this.connections++;
    socket.on("error", () => undefined);
    socket.on("data", ({ length }) => {
      this.bytes += length;
    });
  });

  constructor(path: string) {
    this.path = path;
  }

  async listen(): Promise<this> {
    await once(this.#server.listen(this.path), "listening");
    return this;
  }

  close(): void {
    this.#server.close();
  }
}

let lan: Lan;

async function openLan(): Promise<Lan> {
  lan = await new Lan(join(peregrine.directory, "lan")).listen();
  return lan;
}

afterEach(() => lan.close());

function nic(path: string): string[] {
  return ["--nic", `mac=${MAC},netdev=stream:unix:${path}`];
}

async function runGuest(...options: readonly string[]): Promise<TestProcess> {
  const started = peregrine.start("run", guest("console"), "--name", "a", ...options);
  await started.printed("stdout", /> $/u);
  return started;
}

test("a guest is announced where it runs, when the monitor says so", async () => {
  const { path } = await openLan();
  await runGuest(...nic(path));
  const client = await peregrine.connect("a");
  const seen: unknown[] = [];
  client.events.subscribe(({ event, data }) => seen.push([event, data]));
  expect(lan.connections).toBe(0);
  const times = { initial: 1, max: 1, step: 1 };
  expect(await client.execute("announce-self", { ...times, rounds: 2 })).toEqual({});
  while (lan.bytes < 2 * ON_STREAM || seen.length < 2) await delay(1);
  const interfaces = [{ id: "net0", mac: MAC }];
  expect(seen.splice(0)).toEqual([
    ["ANNOUNCE", { guest: "a", round: 1, interfaces }],
    ["ANNOUNCE", { guest: "a", round: 2, interfaces }],
  ]);
  await client.execute("announce-self", { ...times, rounds: 1, interfaces: ["net1"] });
  expect(seen).toEqual([["ANNOUNCE", { guest: "a", round: 1, interfaces: [] }]]);
  const { stdout } = await peregrine.run("info", "a");
  expect(stdout).toContain(`network    net0, ${MAC} on stream:unix:${path}; 2 frames sent, 0 lost\n`);
  expect([lan.bytes, lan.connections]).toEqual([2 * ON_STREAM, 1]);
});

test("a network that cannot be reached is told of, and does not fail the migration", async () => {
  const { path } = await openLan();
  const source = await runGuest();
  const [destination, uri] = await peregrine.receive(
    `unix:${join(peregrine.directory, "in")}`,
    "b",
    ...nic("/nowhere/lan"),
    ...nic(path),
  );
  const client = await peregrine.connect("b");
  const request = { initial: 50, max: 550, rounds: 5, step: 100 };
  await expect(client.execute("announce-self", request)).rejects.toThrow(
    "Guest is waiting for an incoming migration",
  );
  expect(lan.connections).toBe(0);
  expect(await peregrine.run("migrate", "a", uri)).toMatchObject({ status: 0 });
  expect(await source.finished()).toMatchObject({ status: 0 });
  while (lan.bytes < 5 * ON_STREAM) await delay(1);
  expect((await peregrine.report("b"))["interfaces"]).toEqual([
    { id: "net0", mac: MAC, netdev: "stream:unix:/nowhere/lan", sent: 0, lost: 5 },
    { id: "net1", mac: MAC, netdev: `stream:unix:${path}`, sent: 5, lost: 0 },
  ]);
  destination.write("quit 3\n");
  const { status, stderr } = await destination.finished();
  expect(status).toBe(3);
  expect(stderr.split("\n").slice(1)).toEqual([
    "peregrine: CONNECT_FAILED: Failed to connect to '/nowhere/lan': No such file or directory; " +
      "what the interface 'net0' announces is lost",
    "",
  ]);
});

test("a guest that did not arrive is not announced", async () => {
  const { path } = await openLan();
  const [destination, uri] = await peregrine.receive(
    `unix:${join(peregrine.directory, "in")}`,
    "b",
    ...nic(path),
  );
  net.connect(uri.slice("unix:".length)).end("GET / HTTP/1.1\r\n\r\n");
  expect(await destination.finished()).toMatchObject({ status: 1 });
  expect(lan.connections).toBe(0);
});

test("two interfaces have two ids", async () => {
  await openLan();
  const twice = await peregrine.run(
    "run",
    guest("console"),
    ...nic("/a"),
    "--nic",
    `id=net0,mac=${MAC},netdev=dgram:h:1`,
  );
  expect(twice).toMatchObject({
    status: 1,
    stderr: "peregrine: BAD_PARAMETER: Two network interfaces have the id 'net0'; give each one of its own\n",
  });
});
