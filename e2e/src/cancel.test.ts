import { describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, migrationEnd, startMigration } from "./agent-process.ts";
import { Random } from "./random.ts";
import { GuestDirectories, runUndisturbed } from "./undisturbed.ts";

const CANCELS = 10;
const lua = guests.find(({ name }) => name === "lua-mandelbrot")!;

describe("cancel", () => {
  const random = new Random();
  it(`leaves the guest running at the source, at any moment (seed ${random.seed})`, async () => {
    const args = [lua.args[0]!, "450", lua.args[2]!];
    const undisturbed = runUndisturbed({ ...lua, args });
    await using directories = await GuestDirectories.create(lua);
    await using host = await Host.create();
    let current = await host.run(pathOf(lua.file), directories.options, args);
    const stays = [current];
    let cancelled = 0;
    for (let attempt = 0; attempt < CANCELS; attempt++) {
      const next = await host.receive(attempt % 2 === 0 ? "tcp" : "unix");
      // Between the first connection and the last byte of a copy of about 2 MiB.
      await startMigration(current, next.uri, { bandwidth: attempt % 3 === 0 ? 0 : 8 << 20 });
      await new Promise((resolve) => setTimeout(resolve, random.next() * 250));
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
    stays.push(next.agent);
    expect((await next.agent.ended).status).toBe(0);
    expect(Buffer.concat(stays.map(({ stdout }) => stdout.bytes)).toString("latin1")).toBe(
      (await undisturbed).stdout.toString("latin1"),
    );
  });
});
