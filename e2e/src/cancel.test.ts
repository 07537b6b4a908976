import { describe, expect, it } from "vitest";
import { pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, migrationEnd, type PeregrineProcess, startMigration } from "./agent-process.ts";
import { Random } from "./random.ts";

const CANCELS = 10;
/** Runs for ever, dirties 8 MiB at 64 MiB/s and checks them, and ends with status 3 when one byte is wrong. */
const TORTURE = ["--mib", "8", "--rate", "64", "--hot", "30", "--sweeps", "0"];

/** Resolves once a source has connected. */
async function connected(destination: PeregrineProcess): Promise<void> {
  const isAwaited = async (): Promise<boolean> =>
    (await destination.execute<{ readonly status?: string }>("query-migrate")).status === "setup";
  while (await isAwaited()) await new Promise((resolve) => setTimeout(resolve, 5));
}

describe("cancel", () => {
  const random = new Random();
  it(`leaves the guest running at the source, at any moment (seed ${random.seed})`, async () => {
    await using host = await Host.create();
    let current = await host.run(pathOf("torture.wasm"), [], TORTURE);
    const stays = [current];
    let cancelled = 0;
    for (let attempt = 0; attempt < CANCELS; attempt++) {
      const next = await host.receive(attempt % 2 === 0 ? "tcp" : "unix");
      // Between the first connection and the end of the copy, which is not reached below the rate of dirtying.
      await startMigration(current, next.uri, { bandwidth: attempt % 3 === 0 ? 0 : 8 << 20 });
      // A destination that nobody has connected to would go on waiting.
      await connected(next.agent);
      await new Promise((resolve) => setTimeout(resolve, random.next() * 500));
      await current.execute("migrate_cancel").catch(() => undefined);
      const { status } = await migrationEnd(current);
      if (status === "completed") {
        // The cancel came too late: the guest is at the destination, and only there.
        await current.ended;
        current = next.agent;
        stays.push(current);
        continue;
      }
      expect(status).toBe("cancelled");
      cancelled++;
      expect((await next.agent.ended).status).toBe(1);
      expect(next.agent.stderr.text).toMatch(/load of migration failed: ./);
      expect(next.agent.stdout.text).toBe("");
      expect(await current.execute("query-status")).toMatchObject({ status: "running" });
    }
    expect(cancelled).toBeGreaterThan(CANCELS / 3);
    // A new migration can start at once.
    const next = await host.receive("unix");
    expect(await migrate(current, next.uri)).toMatchObject({ status: "completed" });
    await current.ended;
    stays.push(next.agent);
    await next.agent.until("stdout", /\nsweep.*\nsweep.*\n/);
    const output = stays.map(({ stdout }) => stdout.text).join("");
    const [pages, ...sweeps] = output.split("\n").slice(0, -1);
    expect(pages).toBe("torture: 2048 pages, 30 hot");
    expect(sweeps).toEqual(sweeps.map((_, n) => `sweep ${n + 1}`));
  });
});
