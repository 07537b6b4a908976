import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, type PeregrineProcess } from "./agent-process.ts";
import { runUndisturbed } from "./undisturbed.ts";

const lua = guests.find(({ name }) => name === "lua-workload")!;

const TWO_LINES = /\n.*\n/;

/** What so many rounds print at least; longer runs begin with the same lines. */
let known: readonly string[] = [];

async function linesOf(rounds: number): Promise<readonly string[]> {
  if (known.length < rounds) {
    const asked = String(rounds);
    const { status, stdout } = await runUndisturbed({ ...lua, args: ["/scripts/workload.lua", asked] });
    expect(status).toBe(0);
    known = stdout.toString("latin1").replaceAll(` of ${asked}:`, ":").split("\n").slice(0, -2);
    expect(known).toHaveLength(rounds);
  }
  return known.slice(0, rounds);
}

/**
 * Runs the program until it has printed something, has `pass` get it elsewhere, and ends it when it has printed there.
 * All of it is compared with an undisturbed run.
 * @param pass gives the agents that it ran at behind the first one, in their order, the last one of them at the end.
 */
async function passOn(
  pass: (host: Host, source: PeregrineProcess) => Promise<PeregrineProcess | readonly PeregrineProcess[]>,
): Promise<void> {
  await using host = await Host.create();
  const scripts = join(host.directory, "scripts");
  await cp(pathOf("scripts"), scripts, { recursive: true });
  const source = await host.run(
    pathOf(lua.file),
    ["--dir", `${scripts}::/scripts`],
    ["/scripts/workload.lua", "/scripts/enough"],
  );
  await source.until("stdout", TWO_LINES);
  const stays = [source, await pass(host, source)].flat();
  await stays.at(-1)!.until("stdout", TWO_LINES);
  await writeFile(join(scripts, "enough"), "");
  for (const stay of stays) expect(await stay.ended).toEqual({ status: 0, signal: null });
  const bytes = Buffer.concat(stays.map(({ stdout }) => stdout.bytes));
  const printed = bytes.toString("latin1").split("\n");
  expect(printed.slice(-2)).toEqual(["lua: all checks passed", ""]);
  const rounds = printed.slice(0, -2);
  expect(rounds).toEqual(await linesOf(rounds.length));
}

async function moveTo(
  host: Host,
  source: PeregrineProcess,
  uri: string,
  ...options: string[]
): Promise<void> {
  const command = host.start(["migrate", source.name, uri, ...options]);
  const { status } = await command.ended;
  expect({ status, error: command.stderr.text }).toEqual({ status: 0, error: "" });
}

describe("a program that runs is passed on", () => {
  it.each([
    { send: ["--xbzrle"], take: [] },
    { send: ["--parallel", "2"], take: ["--parallel", "2"] },
    { send: ["--parallel", "3,zlib"], take: ["--parallel", "3"] },
    { send: ["--parallel", "1,zstd"], take: ["--parallel", "1"] },
  ])("with $send", async ({ send, take }) => {
    await passOn(async (host, source) => {
      const { agent, uri } = await host.receive("tcp", take);
      await moveTo(host, source, uri, ...send);
      return agent;
    });
  });

  it("from A to B, back to A, and to B again", async () => {
    await using hostB = await Host.create();
    await passOn(async (hostA, first) => {
      const stays = [first];
      for (const host of [hostB, hostA, hostB]) {
        const { agent, uri } = await host.receive("unix");
        await stays.at(-1)!.until("stdout", TWO_LINES);
        expect(await migrate(stays.at(-1)!, uri)).toMatchObject({ status: "completed" });
        stays.push(agent);
      }
      return stays.slice(1);
    });
  });

  it("by a file", async () => {
    await passOn(async (host, source) => {
      const file = `file:${join(host.directory, "program")}`;
      await moveTo(host, source, file);
      return host.start(["receive", file, "--name", "later", "--source-dirs"], "later");
    });
  });

  it.each([{ options: [] }, { options: ["--xbzrle", "--bandwidth", "32M"] }])(
    "by a relay with $options",
    async ({ options }) => {
      await passOn(async (host, source) => {
        const { agent, uri } = await host.receive("unix");
        const relay = host.start(["relay", "tcp:127.0.0.1:0", uri, "--name", "relay", ...options], "relay");
        const [, address] = await relay.until("stderr", /awaited on (\S+)/);
        await moveTo(host, source, address!);
        expect(await relay.ended).toEqual({ status: 0, signal: null });
        return agent;
      });
    },
  );

  it("by an agent that holds it", async () => {
    await passOn(async (host, source) => {
      const held = await host.receive("unix", ["--machine", "image"]);
      await moveTo(host, source, held.uri);
      await held.agent.until("stderr", /is held here/);
      const { agent, uri } = await host.receive("unix");
      await moveTo(host, held.agent, uri);
      return agent;
    });
  });
});
