import { existsSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { OwnershipFile } from "./ownership-file.ts";
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

/** A guest of that name begins anew, with the records of the one before it. */
async function runAnew(name: string, state: string): Promise<void> {
  const agent = peregrine.start("run", guest("torture"), "--name", name, "--state", state, "--", ...SWEEPING);
  await agent.printed("stdout", /sweep/u);
}

/** As if agent `a` had been killed a moment earlier: its decision is not on the disk. */
async function forgetGiven(state: string): Promise<void> {
  const record = `${state}/a.owner.json`;
  const { version, decisions } = JSON.parse(await readFile(record, "utf8")) as {
    readonly version: number;
    readonly decisions: readonly { readonly ownership: string }[];
  };
  const earlier = decisions.filter(({ ownership }) => ownership !== "given");
  await writeFile(record, JSON.stringify({ version, decisions: earlier }));
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
    await forgetGiven(state);
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

/** What `peregrine resolve` shows of the other side, and what follows, as a pattern. */
function shows(side: string, known: string, so: string): object {
  const stdout = expect.stringMatching(new RegExp(`\n${side}: ${known}[^\n]*\nso: ${so}\n`, "u"));
  return { status: 0, stdout };
}

const NOTHING_KNOWN = ["nothing is known: .* use --force", "it cannot be told yet"] as const;

/** Neither answer is sound while nothing is known of the other side. */
async function expectNothingSound(...resolving: readonly string[]): Promise<void> {
  for (const as of ["owner", "gone"]) {
    expect(await peregrine.run(...resolving, "--as", as)).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(
        /^peregrine: WRONG_STATE: Whether '\w+' is right is not known: .*--force/u,
      ),
    });
  }
}

describe("a side that was started again and does not know the migration", () => {
  test("has had the guest by its records, and nothing is known without them", async () => {
    const { source, destination, state } = await cutOff("taken");
    await destination.printed("stdout", /sweep/u);
    await destination.kill();
    await peregrine.receive("tcp:127.0.0.1:0", "b", "--state", state);
    const resolving = ["resolve", "a", "--peer", "b"];
    expect(await peregrine.run(...resolving)).toMatchObject(shows("b, the other side", ...NOTHING_KNOWN));
    await expectNothingSound(...resolving);
    const informed = [...resolving, "--peer-state", state];
    expect(await peregrine.run(...informed)).toMatchObject(
      shows(
        "b, the other side, by its records",
        "had the guest after the migration",
        "the guest belongs to the destination",
      ),
    );
    expect(await peregrine.run(...informed, "--as", "owner")).toMatchObject({ status: 1 });
    expect(await peregrine.run(...informed, "--as", "gone")).toMatchObject({ status: 0 });
    expect((await source.finished()).status).toBe(0);
  });

  test("never had the guest by its records", async () => {
    const { source, destination, state } = await cutOff("give");
    await destination.kill();
    await peregrine.receive("tcp:127.0.0.1:0", "b", "--state", state);
    await expectNothingSound("resolve", "a", "--peer", "b");
    const informed = ["resolve", "a", "--peer", "b", "--peer-state", state];
    expect(await peregrine.run(...informed)).toMatchObject(
      shows(
        "b, the other side, by its records",
        "does not have the guest",
        "the guest belongs to the source",
      ),
    );
    expect(await peregrine.run(...informed, "--as", "owner")).toMatchObject({ status: 0 });
    await expectMovesOn("a", source);
  });

  test("may have the guest that it has from elsewhere", async () => {
    const { destination, state } = await cutOff("give");
    await destination.kill();
    await runAnew("b", state);
    await expectNothingSound("resolve", "a", "--peer", "b", "--peer-state", state);
  });

  test("has taken the guest back by its records", async () => {
    const { source, destination, state } = await cutOff("loaded");
    await destination.printed("stderr", /UNDECIDED/u);
    await source.kill();
    await runAnew("a", state);
    await expectNothingSound("resolve", "b", "--peer", "a");
    const informed = ["resolve", "b", "--peer", "a", "--peer-state", state];
    expect(await peregrine.run(...informed)).toMatchObject(
      shows(
        "a, the other side, by its records",
        "had the guest after the migration",
        "the guest belongs to the source",
      ),
    );
    expect(await peregrine.run(...informed, "--as", "owner")).toMatchObject({ status: 1 });
    expect(await peregrine.run(...informed, "--as", "gone")).toMatchObject({ status: 0 });
  });

  test("has given the guest away by its records", async () => {
    const { source, destination, state } = await cutOff("give");
    await destination.printed("stderr", /UNDECIDED/u);
    await source.kill();
    await peregrine.receive("tcp:127.0.0.1:0", "a", "--state", state);
    await expectNothingSound("resolve", "b", "--peer", "a");
    const informed = ["resolve", "b", "--peer", "a", "--peer-state", state];
    expect(await peregrine.run(...informed, "--as", "owner")).toMatchObject({
      status: 0,
      stdout: expect.stringContaining(
        "a, the other side, by its records: has ended, and had given the guest away\n",
      ),
    });
    await expectMovesOn("b", destination, source);
  });

  test("runs its guest anew, and so the guest may not go on at the other side", async () => {
    const { source, destination, state } = await cutOff("give");
    await destination.printed("stderr", /UNDECIDED/u);
    await source.kill();
    await forgetGiven(state);
    await runAnew("a", state);
    await expectNothingSound("resolve", "b", "--peer", "a", "--peer-state", state);
  });
});

describe("an agent that has ended", () => {
  test("never had the guest by its records, and still not after it was told that it is elsewhere", async () => {
    const { source, destination, state } = await cutOff("give");
    await destination.kill();
    const resolving = ["resolve", "a", "--peer", "b", "--peer-state", state];
    const expected = shows("b, the other side", "does not have the guest", "the guest belongs to the source");
    expect(await peregrine.run(...resolving)).toMatchObject(expected);
    // The first attempt may have come no further than to tell the other side.
    const records = await OwnershipFile.open(state, "b");
    const { migration } = records.last!;
    await records.write({ ownership: "gone", migration });
    expect(await peregrine.run(...resolving)).toMatchObject(expected);
    expect(await peregrine.run(...resolving, "--as", "owner")).toMatchObject({ status: 0 });
    await expectMovesOn("a", source);
  });

  test("is not known where its records do not tell of the migration", async () => {
    const { destination } = await cutOff("taken");
    await destination.kill();
    const others = `${peregrine.directory}/others`;
    await (await OwnershipFile.open(others, "b")).write({ ownership: "receiving" });
    const resolving = ["resolve", "a", "--peer", "b", "--peer-state", others];
    expect(await peregrine.run(...resolving)).toMatchObject(shows("b, the other side", ...NOTHING_KNOWN));
    await expectNothingSound(...resolving);
    expect(await peregrine.run(...resolving, "--as", "gone", "--force")).toMatchObject({ status: 0 });
  });

  test("is not asked where it has left no records, and none are made", async () => {
    const { source, destination, state } = await cutOff("taken");
    await destination.kill();
    const mistyped = `${peregrine.directory}/mistyped`;
    const refusal = (name: string, directory: string): object => ({
      status: 1,
      stdout: "",
      stderr: expect.stringContaining(
        `NO_SUCH_FILE: No records of the guest '${name}' are in ${directory}: ENOENT`,
      ),
    });
    const asking = ["resolve", "a", "--as", "owner", "--peer", "b", "--peer-state", mistyped];
    expect(await peregrine.run(...asking)).toMatchObject(refusal("b", mistyped));
    await source.kill();
    const resolving = ["resolve", "a", "--as", "owner", "--state", mistyped];
    expect(await peregrine.run(...resolving)).toMatchObject(refusal("a", mistyped));
    expect(existsSync(mistyped)).toBe(false);
    const nobody = ["resolve", "nobody", "--as", "owner", "--state", state];
    expect(await peregrine.run(...nobody)).toMatchObject(refusal("nobody", state));
    expect(existsSync(`${state}/nobody.owner.json`)).toBe(false);
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
