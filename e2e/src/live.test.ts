import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrationEnd, type PeregrineProcess, startMigration } from "./agent-process.ts";
import { measureMove, type MeasuredMove } from "./measured-move.ts";
import { GuestDirectories } from "./undisturbed.ts";

const MIB = 1 << 20;
const MEMORY = 256 * MIB;
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

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;

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

  it("stops it for a small part of the time that a stopped guest is copied in", async () => {
    await using host = await Host.create();
    await using directories = await GuestDirectories.create(counter);
    let agent = await startCounter(host, directories);
    const move = async (live: boolean): Promise<MeasuredMove> => {
      const next = await host.receive("unix");
      const measured = await measureMove(agent, next, { live });
      agent = next.agent;
      // It goes on where it was.
      await progressOf(directories, (await progressOf(directories)) + 1);
      return measured;
    };
    const moves = [await move(true), await move(true), await move(true)];
    const stopped = await move(false);
    const [downtime, bytes] = [
      median(moves.map((of) => of.downtime)),
      median(moves.map((of) => of.bytesStopped)),
    ];
    console.log(
      `downtime: ${(downtime / stopped.downtime).toFixed(3)} of that of a stopped guest; ` +
        `sent in it: ${(bytes / MEMORY).toFixed(5)} of the memory`,
    );
    expect(downtime).toBeLessThan(stopped.downtime / 4);
    expect(bytes).toBeLessThan(MEMORY / 128);
  });
});
