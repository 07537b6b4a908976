import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, migrationEnd, type PeregrineProcess, startMigration } from "./agent-process.ts";
import { GuestDirectories, runUndisturbed } from "./undisturbed.ts";

const guest = (name: string): (typeof guests)[number] => guests.find((entry) => entry.name === name)!;

const output = (...agents: readonly PeregrineProcess[]): string =>
  Buffer.concat(agents.map(({ stdout }) => stdout.bytes)).toString("latin1");

const memoryOf = async (agent: PeregrineProcess): Promise<number> =>
  (await agent.execute<{ memory: number }>("x-peregrine-info")).memory;

/** A guest that computes for a minute and writes how far it has come into a file. */
const runCounter = (host: Host, directories: GuestDirectories): Promise<PeregrineProcess> =>
  host.run(pathOf("counter.wasm"), directories.options, [
    "/data/progress",
    "--mib",
    "4",
    "--rate",
    "4",
    "--seconds",
    "60",
  ]);

/** A guest arrives a moment after its source has been told so. */
async function expectPaused(agent: PeregrineProcess): Promise<void> {
  const status = (): Promise<unknown> => agent.execute("query-status");
  await expect.poll(status, { timeout: 10_000 }).toMatchObject({ status: "paused", running: false });
}

describe("a guest", () => {
  it("is moved while it waits in a long sleep, and sleeps no longer for it", async () => {
    // Long enough that neither a move nor an awakening that comes some seconds late changes what is seen.
    const [seconds, before] = [11, 6];
    await using host = await Host.create();
    const next = await host.receive("tcp");
    const sleeper = await host.run(pathOf("sleeper.wasm"), [], ["--seconds", String(seconds)]);
    await sleeper.until("stdout", /\nsleep: going to sleep/);
    const start = performance.now();
    await new Promise((resolve) => setTimeout(resolve, before * 1000));
    expect(await migrate(sleeper, next.uri)).toMatchObject({ status: "completed" });
    const moved = (performance.now() - start) / 1000;
    expect((await next.agent.ended).status).toBe(0);
    const slept = Number(/\nsleep: slept (\d+) s/.exec(output(sleeper, next.agent))![1]);
    expect(slept).toBeGreaterThanOrEqual(seconds);
    // It ends so long after it began, wherever it began. One that had begun again would end so long after the move.
    expect(slept).toBeLessThanOrEqual((Math.max(seconds, moved) + moved + seconds) / 2);
  });

  it("is moved while it waits for a line from its console, and gets the line there", async () => {
    await using host = await Host.create();
    const waiting = await host.run(pathOf("console.wasm"), [], []);
    await waiting.until("stdout", /./);
    const next = await host.receive("unix");
    expect(await migrate(waiting, next.uri)).toMatchObject({ status: "completed" });
    next.agent.child.stdin!.end("12\n30\nsum\nquit 9\n");
    expect((await next.agent.ended).status).toBe(9);
    expect(next.agent.stdout.text).toMatch(/42/);
  });

  it("keeps what was typed and not yet read", async () => {
    await using host = await Host.create();
    const next = await host.receive("unix");
    const busy = await host.run(pathOf("console.wasm"), [], []);
    await busy.until("stdout", /./);
    busy.child.stdin!.write("work 60\n12\n30\nsum\n");
    await busy.until("stdout", /work/);
    expect(await migrate(busy, next.uri)).toMatchObject({ status: "completed" });
    // Not before: the work may be done by then, and the program is to be there to be moved.
    next.agent.child.stdin!.end("quit 4\n");
    expect((await next.agent.ended).status).toBe(4);
    expect(output(busy, next.agent)).toMatch(/42/);
  });

  it("is moved deep in a recursion of 10 000 frames", async () => {
    const recursion = guest("recursion");
    const args = (rounds: number): string[] => ["--depth", "10000", "--rounds", String(rounds)];
    await using host = await Host.create();
    const next = await host.receive("unix");
    // So many rounds that it does not come to its end before it is moved.
    const deep = await host.run(pathOf(recursion.file), [], args(100_000));
    // Its lines are printed at the deepest point and on the way back.
    await deep.until("stdout", /\n/);
    expect(await migrate(deep, next.uri)).toMatchObject({ status: "completed" });
    await deep.ended;
    // It has come back from where it was.
    await next.agent.until("stdout", /round \d+: .*\n/);
    const [printed, rounds] = /^[^]*\nround (\d+): .*\n/.exec(output(deep, next.agent))!;
    const expected = await runUndisturbed({ ...recursion, args: args(Number(rounds)) });
    expect(printed).toBe(expected.stdout.toString("latin1"));
  });

  it("grows its memory while it is being copied", async () => {
    const grow = guest("grow");
    const args = (steps: number): string[] => ["--steps", String(steps), "--work", "16000000"];
    await using host = await Host.create();
    const next = await host.receive("tcp");
    // So many steps that it does not come to its end before it is moved.
    const growing = await host.run(pathOf(grow.file), [], args(2000));
    await growing.until("stdout", /\n/);
    const before = await memoryOf(growing);
    // So slowly that it does not end before that is changed.
    await startMigration(growing, next.uri, { bandwidth: 64 << 10, downtime: 1 });
    for (let memory = before; memory <= before + (1 << 20); memory = await memoryOf(growing))
      await new Promise((resolve) => setTimeout(resolve, 10));
    await growing.execute("migrate-set-parameters", { "max-bandwidth": 0, "downtime-limit": 500 });
    expect(await migrationEnd(growing)).toMatchObject({ status: "completed" });
    await growing.ended;
    // In each step it looks at one of its old blocks.
    await next.agent.until("stdout", /(?:step .*\n){30}/);
    const [printed, steps] = /^[^]*\nstep (\d+): .*\n/.exec(output(growing, next.agent))!;
    const expected = await runUndisturbed({ ...grow, args: args(Number(steps)) });
    expect(`${printed}grow: all blocks intact\n`).toBe(expected.stdout.toString("latin1"));
  });

  it("arrives paused when it was paused, or when it is told to with -S, and goes on with cont", async () => {
    await using host = await Host.create();
    await using directories = await GuestDirectories.create(guest("counter"));
    const counter = await runCounter(host, directories);
    await counter.execute("stop");
    const paused = await host.receive("unix");
    expect(await migrate(counter, paused.uri)).toMatchObject({ status: "completed" });
    await counter.ended;
    await expectPaused(paused.agent);
    await paused.agent.execute("cont");
    const waiting = await host.receive("unix", ["-S"]);
    expect(await migrate(paused.agent, waiting.uri)).toMatchObject({ status: "completed" });
    await paused.agent.ended;
    await expectPaused(waiting.agent);
    await waiting.agent.execute("cont");
    expect(await waiting.agent.execute("query-status")).toMatchObject({ status: "running", running: true });
  });

  it("is refused by a host that does not have its files, and runs on", async () => {
    await using host = await Host.create();
    await using directories = await GuestDirectories.create(guest("counter"));
    const counter = await runCounter(host, directories);
    const elsewhere = join(host.directory, "missing");
    const next = await host.receive("unix", ["--dir", `${elsewhere}::/data`]);
    expect(await migrate(counter, next.uri)).toMatchObject({ status: "failed" });
    expect((await next.agent.ended).status).toBe(1);
    expect(next.agent.stderr.text).toMatch(/directory \/data \(.*missing here\)/);
    expect(await counter.execute("query-status")).toMatchObject({ status: "running" });
    const progress = directories.options[1]!.split("::")[0]!;
    const read = async (): Promise<number> =>
      Number(await readFile(join(progress, "progress"), "latin1").catch(() => 0));
    const now = await read();
    while ((await read()) === now) await new Promise((resolve) => setTimeout(resolve, 10));
  });
});
