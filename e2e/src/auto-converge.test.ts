import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, startMigration } from "./agent-process.ts";
import { GuestDirectories } from "./undisturbed.ts";

const counter = guests.find(({ name }) => name === "counter")!;

interface Info {
  readonly status: string;
  readonly "cpu-throttle-percentage"?: number;
}

it("a guest that dirties its memory faster than it is sent is throttled until it can be moved", async () => {
  await using host = await Host.create();
  await using directories = await GuestDirectories.create(counter);
  // It works without a pause, and dirties one of its 2048 pages with each unit of work.
  const args = ["/data/progress", "--mib", "8", "--rate", "0"];
  const agent = await host.run(pathOf(counter.file), directories.options, args);
  const next = await host.receive("unix");
  const file = join(directories.options[1]!.split("::")[0]!, "progress");
  const progress = async (): Promise<number> => Number(await readFile(file, "latin1"));
  // Before that it has pages of zeros, which take next to no time.
  await expect.poll(progress, { timeout: 60_000 }).toBeGreaterThan(2048);
  await agent.execute("migrate-set-capabilities", {
    capabilities: [{ capability: "auto-converge", state: true }],
  });
  await agent.execute("migrate-set-parameters", { "cpu-throttle-initial": 90, "cpu-throttle-increment": 5 });
  // It does not come to its end before a throttle was seen here.
  await startMigration(agent, next.uri, { bandwidth: 16 << 20, downtime: 0 });
  const percentages = new Set<number>();
  let info: Info;
  do {
    info = await agent.execute<Info>("query-migrate");
    const { size } = percentages;
    const percentage = info["cpu-throttle-percentage"];
    if (percentage !== undefined) percentages.add(percentage);
    if (size === 0 && percentages.size > 0)
      await agent.execute("migrate-set-parameters", { "downtime-limit": 30 });
    await new Promise((resolve) => setTimeout(resolve, 5));
  } while (info.status === "setup" || info.status === "active");
  expect(info).toMatchObject({ status: "completed" });
  expect(info).not.toHaveProperty("cpu-throttle-percentage");
  expect(percentages.size).toBeGreaterThan(0);
  // One of them may be over before it was asked for.
  expect([...percentages]).toEqual([90, 95, 99].filter((percentage) => percentages.has(percentage)));
  // It goes on where it is now.
  const before = await progress();
  while ((await progress()) <= before) await next.agent.execute("query-status");
});
