import { createServer, connect, type Server } from "node:net";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { describe, expect, it } from "vitest";
import { pathOf } from "../../examples/guests/guests.ts";
import { Host, migrationEnd, startMigration } from "./agent-process.ts";

const MIB = 1 << 20;

/**
 * Passes a connection on to `port` and notes when how many bytes came through. It reads on when those are not taken from
 * it at once: what waits in the kernel would seem to come all in one moment.
 */
async function recordingProxy(
  port: number,
): Promise<{ server: Server; port: number; record: [number, number][] }> {
  const record: [number, number][] = [];
  const server = createServer((incoming) => {
    const outgoing = connect(port, "127.0.0.1");
    incoming.on("data", (chunk) => {
      record.push([performance.now(), chunk.length]);
      outgoing.write(chunk);
    });
    incoming.on("end", () => outgoing.end());
    outgoing.pipe(incoming);
    for (const socket of [incoming, outgoing]) socket.on("error", () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("not a tcp server");
  return { server, port: address.port, record };
}

describe("the rate limit", () => {
  it("holds within 5 % over every second of the copy", async () => {
    await using host = await Host.create();
    // It dirties its memory faster than the limit lets it go, so that the copy lasts until the limit is lifted.
    const guest = await host.run(
      pathOf("torture.wasm"),
      [],
      ["--mib", "64", "--rate", "64", "--sweeps", "1000"],
    );
    await guest.until("stdout", /\nsweep 1\n/);
    const next = await host.receive("tcp");
    const proxy = await recordingProxy(Number(next.uri.split(":").at(-1)));
    const limit = 16 * MIB;
    await startMigration(guest, `tcp:127.0.0.1:${proxy.port}`, { bandwidth: limit, downtime: 100 });
    const total = (): number => proxy.record.reduce((sum, [, bytes]) => sum + bytes, 0);
    const lag = monitorEventLoopDelay({ resolution: 1 });
    lag.enable();
    while (total() < 5 * limit) await new Promise((resolve) => setTimeout(resolve, 50));
    lag.disable();
    const lifted = performance.now();
    await guest.execute("migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 5000 });
    expect(await migrationEnd(guest)).toMatchObject({ status: "completed" });
    proxy.server.close();
    const { record } = proxy;
    const first = record.find(([, bytes]) => bytes > 4096)![0];
    const seconds: number[] = [];
    for (let from = first; from + 1000 < lifted; from += 50)
      seconds.push(
        record.reduce((sum, [at, bytes]) => (at >= from && at < from + 1000 ? sum + bytes : sum), 0) / limit,
      );
    expect(seconds.length).toBeGreaterThan(10);
    const sorted = seconds.toSorted((a, b) => a - b);
    const [least, median, most] = [sorted[0]!, sorted[sorted.length >> 1]!, sorted.at(-1)!];
    const [low, middle, high] = [least, median, most].map((share) => share.toFixed(3));
    console.log(`bytes per second / limit: least ${low}, median ${middle}, most ${high}`);
    // What waits while the proxy is kept from reading seems to come later than it did.
    const late = lag.max / 1e9;
    expect(most).toBeLessThanOrEqual(1.05 + late);
    // A second in which the agent had no processor has less, and that may be more than half of them.
    expect(most).toBeGreaterThanOrEqual(0.95);
  });
});
