import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { type Guest, guests, pathOf } from "../../examples/guests/guests.ts";
import { Host, type PeregrineProcess } from "./agent-process.ts";
import { GuestDirectories, type RunOutcome, runUndisturbed } from "./undisturbed.ts";

/** For so many rounds that it still runs when a migration begins on a busy machine, and when all its threads are up. */
const ROUNDS = { plain: 100, parallel: 200 };

type Length = keyof typeof ROUNDS;

const workload = (length: Length): Guest => ({
  ...guests.find(({ name }) => name === "lua-workload")!,
  args: ["/scripts/workload.lua", String(ROUNDS[length])],
});

let expected: Readonly<Record<Length, RunOutcome>>;

beforeAll(async () => {
  expected = {
    plain: await runUndisturbed(workload("plain")),
    parallel: await runUndisturbed(workload("parallel")),
  };
});

/** Runs the program until it has printed something, has `pass` get it elsewhere, and compares with an undisturbed run. */
async function passOn(
  pass: (host: Host, source: PeregrineProcess) => Promise<PeregrineProcess>,
  length: Length = "plain",
): Promise<void> {
  const lua = workload(length);
  const { status, stdout } = expected[length];
  await using directories = await GuestDirectories.create(lua);
  await using host = await Host.create();
  const source = await host.run(pathOf(lua.file), directories.options, lua.args);
  await source.until("stdout", /\n.*\n/);
  const last = await pass(host, source);
  expect(await last.ended).toEqual({ status, signal: null });
  expect(await source.ended).toEqual({ status: 0, signal: null });
  expect(Buffer.concat([source.stdout.bytes, last.stdout.bytes]).toString("latin1")).toBe(
    stdout.toString("latin1"),
  );
  expect(last.stdout.bytes.length).toBeGreaterThan(0);
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
    await passOn(
      async (host, source) => {
        const { agent, uri } = await host.receive("tcp", take);
        await moveTo(host, source, uri, ...send);
        return agent;
      },
      take.length > 0 ? "parallel" : "plain",
    );
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
