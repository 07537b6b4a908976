import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { CuttingProxy } from "./testing/cutting-proxy.ts";
import { usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";
import { virtualMachineStream } from "./testing/virtual-machine-stream.ts";

const peregrine = usePeregrine();

const IMAGE = ["--machine", "image"];

const inDirectory = (name: string): string => join(peregrine.directory, name);

const places = (): string[] => ["--store", inDirectory("store"), "--state", inDirectory("state")];

/** How the agent `vm` is started, each time: it keeps its image and its records. */
function startAgain(name = "vm"): TestProcess {
  return peregrine.start("receive", "tcp:127.0.0.1:0", "--name", name, ...IMAGE, ...places());
}

/** The agent `vm` with an image that was stored before. */
async function startStored(): Promise<TestProcess> {
  mkdirSync(inDirectory("store"));
  writeFileSync(inDirectory("store/vm.qemu"), virtualMachineStream({ returnPath: false }));
  const agent = startAgain();
  await agent.printed("stderr", /is held here/u);
  return agent;
}

test("a stored image that was given away is not held once more when its agent is started again", async () => {
  const source = await startStored();
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", ...IMAGE);
  using proxy = await CuttingProxy.listen(Number(address.split(":").at(-1)), "taken");
  expect(await peregrine.run("migrate", "vm", proxy.uri)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("UNDECIDED"),
  });
  await destination.printed("stderr", /is held here/u);
  source.signal("SIGTERM");
  await source.finished();
  expect(readdirSync(inDirectory("store"))).toEqual(["vm.qemu"]);

  const record = readFileSync(inDirectory("state/vm.owner.json"), "utf8");
  const refused = await startAgain().finished();
  expect(refused).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^peregrine: GUEST_ELSEWHERE: The guest 'vm' was given to tcp:\S+ on .*, so it is not taken from \S+vm\.qemu; /u,
    ),
  });
  expect(readFileSync(inDirectory("state/vm.owner.json"), "utf8")).toBe(record);
  expect(await peregrine.report("b")).toMatchObject({ owner: "owner" });

  // Both ways out that the refusal names.
  const [, command] = /if it is to be, peregrine (.*?), and if/u.exec(refused.stderr)!;
  expect(await peregrine.run(...command!.split(" "))).toMatchObject({ status: 0 });
  const taken = startAgain();
  await taken.printed("stderr", /is taken from file:.*\n.*is held here/u);
  await taken.kill();
  writeFileSync(inDirectory("state/vm.owner.json"), record);
  rmSync(inDirectory("store/vm.qemu"));
  await startAgain().printed("stderr", /is awaited on/u);
});

describe("a destination that was killed before it heard whose the image is, and has stored it", () => {
  /** The image `vm` was sent to `b`, which was not told that it may have it. */
  async function killed(): Promise<TestProcess> {
    const source = await startStored();
    const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", ...IMAGE, ...places());
    using proxy = await CuttingProxy.listen(Number(address.split(":").at(-1)), "give");
    expect(await peregrine.run("migrate", "vm", proxy.uri)).toMatchObject({ status: 1 });
    await destination.printed("stderr", /UNDECIDED/u);
    await destination.kill();
    return source;
  }

  const resolving = (name: string, peer: string, ...more: readonly string[]): string[] => {
    const records = inDirectory("state");
    return ["resolve", name, "--state", records, "--peer", peer, "--peer-state", records, ...more];
  };

  async function expectRefused(name: string, code: string): Promise<void> {
    const stderr = expect.stringMatching(
      new RegExp(
        `^peregrine: ${code}: The guest '${name}' .*, so it is not taken from \\S+${name}\\.qemu; if it is to be, ` +
          `peregrine resolve ${name} --as owner --state \\S+, and if it is elsewhere, remove the file\n$`,
        "u",
      ),
    );
    expect(await startAgain(name).finished()).toMatchObject({ status: 1, stderr });
  }

  test("does not hold it once more: it goes on at its source", async () => {
    await killed();
    await expectRefused("b", "UNDECIDED");
    const kept =
      "b, the destination: has ended, keeps the guest on its disk, and was not told whether it may have it\n";
    const so = "so: the guest belongs to the source\n";
    expect(await peregrine.run(...resolving("b", "vm"))).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(new RegExp(`^${kept}.*\n${so}$`, "u")),
    });
    expect(await peregrine.run(...resolving("b", "vm", "--as", "owner"))).toMatchObject({ status: 1 });
    expect(await peregrine.run(...resolving("vm", "b", "--as", "owner"))).toMatchObject({ status: 0 });
    expect(await peregrine.report("vm")).toMatchObject({ owner: "owner" });
    await expectRefused("b", "GUEST_ELSEWHERE");
  });

  test("has it when its source has ended, too, and an operator says so", async () => {
    const source = await killed();
    await source.kill();
    expect(await peregrine.run(...resolving("vm", "b"))).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("so: the guest belongs to the destination\n"),
    });
    expect(await peregrine.run(...resolving("b", "vm", "--as", "owner"))).toMatchObject({ status: 0 });
    await startAgain("b").printed("stderr", /is taken from file:.*\n.*is held here/u);
    await expectRefused("vm", "GUEST_ELSEWHERE");
  });

  test("does not have it when the file is not there", async () => {
    await killed();
    rmSync(inDirectory("store/b.qemu"));
    expect(await peregrine.run(...resolving("b", "vm"))).toMatchObject({
      status: 1,
      stderr: expect.stringContaining("there is nothing to resolve"),
    });
    expect(await peregrine.run(...resolving("vm", "b"))).toMatchObject({
      status: 0,
      stdout: expect.stringContaining("b, the other side: does not have the guest, and never ran it\n"),
    });
    await startAgain("b").printed("stderr", /is awaited on/u);
  });
});
