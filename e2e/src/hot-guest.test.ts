import { describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrationEnd, startMigration } from "./agent-process.ts";
import { moveHotGuest } from "./hot-guest.ts";

const MIB = 1 << 20;
const PAGE = 4096;

/** On a machine that has other things to do; the scenario `hot-xbzrle` of the benches is for 30 ms as well. */
const DOWNTIME = 300;
/** A pass takes a quarter of a second with it. */
const BANDWIDTH = MIB;

interface CacheInfo {
  readonly status: string;
  readonly "xbzrle-cache"?: { readonly "cache-size": number; readonly pages: number };
}

describe("a guest that writes to all of its memory all the time", () => {
  it("is moved, although fewer bytes go out in the tolerated downtime than are dirty", async () => {
    const { status, samples, deltas } = await moveHotGuest(DOWNTIME, BANDWIDTH, true);
    console.log(`hot guest of 41 MiB, 1 MiB/s: ${samples.at(-1)?.pass} passes, ${deltas} deltas`);
    expect(status).toBe("completed");
    expect(deltas).toBeGreaterThan(0);
    // The rule of the original: stop when less is left than the bytes on the wire in the tolerated downtime. It
    // would have gone on after every one of these passes, and for as long as the guest writes.
    expect(samples.length).toBeGreaterThan(0);
    for (const { rest, wireRate } of samples) expect(rest).toBeGreaterThan(wireRate * DOWNTIME);
  });

  it("arrives whole when the cache of pages is made smaller and larger meanwhile", async () => {
    const torture = guests.find(({ name }) => name === "torture")!;
    await using host = await Host.create();
    const args = ["--mib", "4", "--rate", "64", "--sweeps", "0"];
    const agent = await host.run(pathOf(torture.file), ["--keep"], args);
    const next = await host.receive("unix");
    await agent.until("stdout", /sweep/);
    await agent.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "xbzrle", state: true }],
    });
    // Much less than the guest dirties, and it may not stand still: it goes on until that is changed, unless the guest
    // is kept from writing for the few milliseconds that a pass of deltas takes.
    await startMigration(agent, next.uri, { bandwidth: 8 * MIB, downtime: 0 });
    /** Waits until so many pages have gone through a cache of that size. */
    const used = async (pages: number, size?: number): Promise<void> => {
      let before: number | undefined;
      for (;;) {
        const { status, "xbzrle-cache": cache } = await agent.execute<CacheInfo>("query-migrate");
        if (status === "completed") return;
        if (cache === undefined) continue;
        if (size !== undefined) expect(cache["cache-size"]).toBe(size);
        before ??= cache.pages;
        if (cache.pages >= before + pages) return;
      }
    };
    await used(1);
    for (const [bytes, rounded] of [
      [2 * MIB + 5, 2 * MIB],
      [PAGE + 1, PAGE],
      [300_000, 256 * 1024],
      [4 * MIB, 4 * MIB],
    ] as const) {
      await agent.execute("migrate-set-cache-size", { value: bytes });
      expect(await agent.execute("query-migrate-cache-size")).toBe(rounded);
      // One page is no cache for a guest that goes round.
      if (rounded > PAGE) await used(100, rounded);
    }
    await agent.execute("migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 2000 });
    expect(await migrationEnd(agent)).toMatchObject({ status: "completed" });
    // It looks at all of its memory in each sweep, and ends when a page is wrong.
    const { text } = next.agent.stdout;
    while ((next.agent.stdout.text.match(/sweep/g) ?? []).length < 3) await next.agent.stdout.change();
    expect(next.agent.hasEnded, text).toBe(false);
  });
});
