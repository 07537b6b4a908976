import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, migrationEnd, type PeregrineProcess, startMigration } from "./agent-process.ts";
import { GuestDirectories } from "./undisturbed.ts";

const MIB = 1 << 20;
const counter = guests.find(({ name }) => name === "counter")!;

/** A guest that fills 256 MiB, dirties 20 MiB/s of it and writes how far it has come into a file. */
async function startCounter(host: Host, directories: GuestDirectories): Promise<PeregrineProcess> {
  const agent = await host.run(pathOf(counter.file), directories.options, ["/data/progress", "--mib", "256", "--rate", "20", "--seconds", "600"]); // prettier-ignore
  await progressOf(directories, 1);
  return agent;
}

/** Waits until the guest has written at least `least`. @returns its counter. */
async function progressOf(directories: GuestDirectories, least = 0): Promise<number> {
  const file = join(directories.options[1]!.split("::")[0]!, "progress");
  for (;;) {
    const value = Number(await readFile(file, "latin1").catch(() => "0"));
    if (value >= least) return value;
    await delay(5);
  }
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Counts per ms from now until `until` is settled. */
async function speed(directories: GuestDirectories, until: Promise<unknown>): Promise<number> {
  const [start, before] = [performance.now(), await progressOf(directories)];
  await until;
  return ((await progressOf(directories)) - before) / (performance.now() - start);
}

interface TimedEvent {
  readonly event: string;
  readonly timestamp: { readonly seconds: number; readonly microseconds: number };
}

/** Moment of the next event of that name, ms since 1970, as the agent stamped it. */
async function momentOf(agent: PeregrineProcess, name: string): Promise<() => Promise<number>> {
  const client = await agent.monitor();
  const { promise, resolve } = Promise.withResolvers<number>();
  client.events.subscribe((event) => {
    const { event: found, timestamp } = event as unknown as TimedEvent;
    if (found === name) resolve(timestamp.seconds * 1000 + timestamp.microseconds / 1000);
  });
  return () => promise;
}

describe("a live migration of 256 MiB that dirties 20 MiB/s", () => {
  it("leaves the guest at least half of its speed while it is copied", async () => {
    await using host = await Host.create();
    await using directories = await GuestDirectories.create(counter);
    const agent = await startCounter(host, directories);
    const next = await host.receive("unix");
    await delay(500);
    const undisturbed = await speed(directories, delay(3000));
    // Slow enough for the copy to last a while.
    await startMigration(agent, next.uri, { bandwidth: 48 * MIB });
    const copying = await speed(directories, migrationEnd(agent));
    console.log(`speed while copying: ${(copying / undisturbed).toFixed(2)} of the undisturbed one`);
    expect(copying / undisturbed).toBeGreaterThan(0.5);
    // It goes on where it was.
    await progressOf(directories, (await progressOf(directories)) + 1);
  });

  it("stops it for 50 ms or less", async () => {
    const downtimes: number[] = [];
    for (let run = 0; run < 5; run++) {
      await using host = await Host.create();
      await using directories = await GuestDirectories.create(counter);
      const agent = await startCounter(host, directories);
      const next = await host.receive("unix");
      const [stopped, resumed] = [await momentOf(agent, "STOP"), await momentOf(next.agent, "RESUME")];
      expect(await migrate(agent, next.uri)).toMatchObject({ status: "completed" });
      downtimes.push((await resumed()) - (await stopped()));
      await progressOf(directories, (await progressOf(directories)) + 1);
    }
    const median = downtimes.toSorted((a, b) => a - b)[2]!;
    console.log(
      `downtime, ms: ${downtimes.map((ms) => ms.toFixed(1)).join(" ")}; median ${median.toFixed(1)}`,
    );
    expect(median).toBeLessThanOrEqual(50);
  });
});
