import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import type { Channel } from "./channel.ts";
import { loadSocketCalls } from "./descriptors/socket-calls.ts";
import { keepaliveProbes, LinkJudge } from "./link-watch.ts";
import { NetworkNamespace, noNamespaces } from "./testing/network-namespace.ts";
import { failure } from "./testing/opened.ts";
import { readAll } from "./testing/streams.ts";
import { connect } from "./uri.ts";

const MiB = 1 << 20;

/** Milliseconds. */
const LIMIT = 2000;
/** What a look may come late on a machine that stands still at times. TCP alone takes a quarter of an hour. */
const MARGIN = 20_000;

describe("TCP's probes of an idle link", () => {
  test.for([
    [1000, { idle: 1, interval: 1, count: 1 }],
    [2000, { idle: 1, interval: 1, count: 1 }],
    [3500, { idle: 1, interval: 1, count: 2 }],
    [5000, { idle: 2, interval: 1, count: 3 }],
    [60_000, { idle: 24, interval: 12, count: 3 }],
    [3_600_000, { idle: 1440, interval: 720, count: 3 }],
  ] as const)("for %d ms end with that time, and two seconds at the least", ([limit, probes]) => {
    expect(keepaliveProbes(limit)).toEqual(probes);
  });
});

describe("a link is judged", () => {
  const answered = { quiet: 0, expectsAnswer: true };

  test("dead when an answer is owed for as long as the limit", () => {
    const judge = new LinkJudge(1000);
    expect(judge.look(answered, 0)).toBe(false);
    expect(judge.look({ quiet: 999, expectsAnswer: true }, 999)).toBe(false);
    expect(judge.look({ quiet: 1000, expectsAnswer: true }, 1000)).toBe(true);
  });

  test("alive when nothing was owed until just now, however long it was quiet", () => {
    const judge = new LinkJudge(1000);
    expect(judge.look({ quiet: 100_000, expectsAnswer: false }, 0)).toBe(false);
    expect(judge.look({ quiet: 101_000, expectsAnswer: true }, 1000)).toBe(false);
    expect(judge.look({ quiet: 101_500, expectsAnswer: true }, 1500)).toBe(false);
    expect(judge.look({ quiet: 102_000, expectsAnswer: true }, 2000)).toBe(true);
  });

  test("alive for as long as answers come, however slowly", () => {
    const judge = new LinkJudge(1000);
    for (let now = 0; now < 20_000; now += 100) {
      expect(judge.look({ quiet: now % 900, expectsAnswer: true }, now)).toBe(false);
    }
  });
});

/** Accepts connections. What they say first is what is done with them: `r` reads everything, `s` reads nothing more. */
const PEER = `
  require("node:net").createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (first) => {
      if (first[0] === 0x73) socket.pause();
      else socket.resume();
      socket.write("k");
    });
  }).listen(0, "0.0.0.0", function () { console.log(this.address().port); });
`;

describe.skipIf((await loadSocketCalls()) === undefined).concurrent("what has no answer for long", () => {
  test("is no reason to cut off a receiver that lives, and only reads nothing", async () => {
    let peer: Socket | undefined;
    const server = createServer({ pauseOnConnect: true }, (socket) => (peer = socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const { port } = server.address() as AddressInfo;
    const channel = await connect(`tcp:127.0.0.1:${port}`, { keepalive: LIMIT });
    const total = 32 * MiB;
    const writing = channel.write(new Uint8Array(total)).then(() => channel.end());
    // TCP_USER_TIMEOUT would have cut it off by now.
    await delay(2.5 * LIMIT);
    expect(channel.error).toBeUndefined();
    let received = 0;
    peer!.on("data", ({ length }) => (received += length));
    peer!.resume();
    await writing;
    await once(peer!, "end");
    expect(received).toBe(total);
    channel.destroy();
    peer!.destroy();
    server.close();
  });

  test.skipIf(noNamespaces)(
    "is a dead link: with data in flight, without, and where there was no room",
    async () => {
      await using host = await NetworkNamespace.create();
      await using peer = await startPeer(host);
      const [flowing, full, idle] = await Promise.all([
        open(peer.uri, "r"),
        open(peer.uri, "s"),
        open(peer.uri, "r"),
      ]);
      const [flooding, filling, reading] = [
        failure(flood(flowing)),
        failure(flood(full)),
        failure(readAll(idle)),
      ];
      let written = -1;
      while (full.bytesWritten !== written || flowing.bytesWritten < 64 * MiB) {
        written = full.bytesWritten;
        await delay(300);
      }
      // It is cut somewhere in between: nothing is noticed too early behind the first, or too late behind the second.
      const before = performance.now();
      await host.cut();
      const start = performance.now();
      const noticed = async ({ closed }: Channel): Promise<number> => {
        await closed;
        return performance.now() - start;
      };
      const [flowingTook, fullTook, idleTook] = await Promise.all([flowing, full, idle].map(noticed));
      const silence = "nothing has come back for 2 s: the other side or the way to it is dead";
      expect(await flooding).toMatchObject({
        code: "PEER_SILENT",
        message: `Connection to '${flowing.peer}' failed: ${silence}`,
      });
      expect(flowingTook).toBeGreaterThan(LIMIT / 2 - (start - before));
      expect(flowingTook).toBeLessThan(LIMIT + MARGIN);
      expect(await filling).toMatchObject({ code: "PEER_SILENT" });
      // A kernel before 6.15 asks for room less and less often.
      expect(fullTook).toBeLessThan(2 * LIMIT + MARGIN);
      expect(await reading).toMatchObject({
        code: "PEER_SILENT",
        message: expect.stringMatching(/ failed: (Connection timed out|No route to host)$/u),
      });
      expect(idleTook).toBeLessThan(LIMIT + MARGIN);
    },
  );
});

async function startPeer(host: NetworkNamespace): Promise<AsyncDisposable & { readonly uri: string }> {
  const [command, ...args] = [...host.prefix, process.execPath, "-e", PEER];
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
  const ended = once(child, "close");
  const [port] = (await once(child.stdout, "data")) as [Buffer];
  return {
    uri: `tcp:${host.address}:${String(port).trim()}`,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function open(uri: string, first: "r" | "s"): Promise<Channel> {
  const channel = await connect(uri, { keepalive: LIMIT });
  await channel.write(Buffer.from(first));
  for await (const _ of channel.read()) break;
  return channel;
}

/** Writes until it fails. */
async function flood(channel: Channel): Promise<void> {
  const bytes = new Uint8Array(MiB);
  for (;;) await channel.write(bytes);
}
