import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { CuttingProxy } from "./testing/cutting-proxy.ts";
import type { MESSAGE } from "./testing/cutting-proxy.ts";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

/** Prints a line for each sweep over its memory, and never ends. */
const SWEEPING = ["--mib", "1", "--rate", "4", "--sweeps", "0", "--every", "1"];

interface Pair {
  readonly source: TestProcess;
  readonly destination: TestProcess;
  readonly state: string;
}

/** Guest `a` was sent to `b`, and the connection broke instead of passing one message on. */
async function cutOff(lost: keyof typeof MESSAGE): Promise<Pair> {
  const state = `${peregrine.directory}/state`;
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", "--state", state);
  using proxy = await CuttingProxy.listen(Number(address.split(":").at(-1)), lost);
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--state", state, "--", ...SWEEPING);
  await source.printed("stdout", /sweep 2\n/u);
  const migrate = await peregrine.run("migrate", "a", proxy.uri);
  expect(migrate.status).toBe(1);
  return { source, destination, state };
}

async function expectOwners(owners: Readonly<Record<string, string>>): Promise<void> {
  const found = await Promise.all(
    Object.keys(owners).map(async (name) => {
      const { owner, status } = await peregrine.report(name);
      return [name, `${String(owner)}, ${String(status)}`];
    }),
  );
  expect(Object.fromEntries(found)).toEqual(owners);
}

/** The sweeps that both have printed, each once. */
function expectNothingTwice(...outputs: readonly string[]): void {
  const sweeps = Array.from(outputs.join("").matchAll(/sweep (\d+)\n/gu), (match) => Number(match[1]));
  expect(sweeps).toEqual(sweeps.map((_, index) => sweeps[0]! + index));
}

/** The guest, which is at this agent, moves on to another one and prints there. */
async function expectMovesOn(
  name: string,
  from: TestProcess,
  ...before: readonly TestProcess[]
): Promise<void> {
  const [next, address] = await peregrine.receive("tcp:127.0.0.1:0", "next");
  expect(await peregrine.run("migrate", name, address)).toMatchObject({ status: 0 });
  await next.printed("stdout", /sweep \d+\n.*sweep \d+\n/su);
  expectNothingTwice(...before.map(({ stdout }) => stdout), from.stdout, next.stdout);
}

describe("a guest whose hand-over is cut off", () => {
  test("before the source has decided: it goes on there", async () => {
    const { source, destination, state } = await cutOff("loaded");
    await destination.printed("stderr", /UNDECIDED: The guest is loaded, and the source did not say/u);
    await expectOwners({ a: "owner, running", b: "undecided, inmigrate" });

    const refused = await peregrine.run("resolve", "b", "--as", "owner", "--peer", "a");
    expect(refused).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("the guest belongs to the source"),
    });
    expect(await peregrine.run("resolve", "b", "--peer", "a")).toMatchObject({
      status: 0,
      stdout:
        "b, the destination: holds the guest, stopped, and was not told whether it may run it\n" +
        "a, the other side: has the guest\n" +
        "so: the guest belongs to the source\n",
    });
    expect(await peregrine.run("resolve", "b", "--as", "gone", "--peer", "a")).toMatchObject({ status: 0 });
    expect((await destination.finished()).status).toBe(1);
    await expectMovesOn("a", source);
    expect(state).toContain(peregrine.directory);
  });

  test.for([
    ["owner", "gone"],
    ["gone", "owner"],
  ] as const)("while the decision is on the way: nobody has it, until the source is %s", async ([a, b]) => {
    const { source, destination } = await cutOff("give");
    await destination.printed("stderr", /UNDECIDED/u);
    await expectOwners({ a: "undecided, finish-migrate", b: "undecided, inmigrate" });
    expect(await peregrine.run("cont", "a")).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("then use peregrine resolve"),
    });
    // Without asking the other side, an operator may decide either way.
    const [first, second] = a === "gone" ? (["a", "b"] as const) : (["b", "a"] as const);
    for (const name of [first, second]) {
      const as = name === "a" ? a : b;
      expect(await peregrine.run("resolve", name, "--as", as)).toMatchObject({ status: 0 });
    }
    if (a === "owner") await expectMovesOn("a", source);
    else await expectMovesOn("b", destination, source);
  });

  test("when the destination has it already: it runs there, and the source is told by an operator", async () => {
    const { source, destination } = await cutOff("taken");
    await destination.printed("stdout", /sweep/u);
    await expectOwners({ a: "undecided, finish-migrate", b: "owner, running" });
    expect(await peregrine.run("resolve", "a", "--as", "owner", "--peer", "b")).toMatchObject({ status: 1 });
    expect(await peregrine.run("resolve", "a", "--as", "gone", "--peer", "b")).toMatchObject({ status: 0 });
    expect((await source.finished()).status).toBe(0);
    await expectMovesOn("b", destination, source);
  });

  test("before the source has decided, and whose source is killed: it is not started there once more", async () => {
    const { source, destination, state } = await cutOff("give");
    await destination.printed("stderr", /UNDECIDED/u);
    await source.kill();
    // As if it had been killed a moment earlier: its decision is not on the disk.
    const record = `${state}/a.owner.json`;
    const { version, decisions } = JSON.parse(await readFile(record, "utf8")) as {
      readonly version: number;
      readonly decisions: readonly { readonly ownership: string }[];
    };
    const earlier = decisions.filter(({ ownership }) => ownership !== "given");
    await writeFile(record, JSON.stringify({ version, decisions: earlier }));
    const resolving = ["resolve", "b", "--as", "owner", "--peer", "a", "--peer-state", state];
    expect(await peregrine.run(...resolving)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("a, the other side: has ended, and had the guest before the migration"),
    });
    await destination.printed("stdout", /sweep/u);
    const again = await peregrine.run("run", guest("torture"), "--name", "a", "--state", state);
    expect(again).toMatchObject({ status: 1, stderr: expect.stringContaining("GUEST_ELSEWHERE") });
    await expectMovesOn("b", destination, source);
  });

  test("and whose agents are killed: their records say who had it", async () => {
    const { source, destination, state } = await cutOff("taken");
    await destination.printed("stdout", /sweep/u);
    await Promise.all([source.kill(), destination.kill()]);
    const again = await peregrine.run(
      "run",
      guest("torture"),
      "--name",
      "a",
      "--state",
      state,
      "--",
      "--sweeps",
      "1",
    );
    expect(again).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("GUEST_ELSEWHERE: The guest 'a' was given to tcp:"),
    });
    const resolving = ["resolve", "a", "--state", state, "--peer", "b", "--peer-state", state];
    expect(await peregrine.run(...resolving)).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("so: the guest belongs to the destination"),
    });
    expect(await peregrine.run(...resolving, "--as", "owner")).toMatchObject({ status: 1 });
    expect(await peregrine.run(...resolving, "--as", "owner", "--force")).toMatchObject({ status: 0 });
    const started = await peregrine.run(
      "run",
      guest("torture"),
      "--name",
      "a",
      "--state",
      state,
      "--",
      "--sweeps",
      "1",
    );
    expect(started.status).toBe(0);
  });
});

test("there is nothing to resolve where everything is known", async () => {
  const source = peregrine.start("run", guest("torture"), "--name", "a", "--", ...SWEEPING);
  await source.printed("stdout", /sweep 2\n/u);
  expect(await peregrine.run("resolve", "a", "--as", "gone")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("there is nothing to resolve"),
  });
});
