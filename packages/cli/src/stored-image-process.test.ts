import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
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

test("a destination that was started again may have stored the image, whatever its records say", async () => {
  await startStored();
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b", ...IMAGE, ...places());
  using proxy = await CuttingProxy.listen(Number(address.split(":").at(-1)), "give");
  expect(await peregrine.run("migrate", "vm", proxy.uri)).toMatchObject({ status: 1 });
  await destination.kill();
  const resolving = ["resolve", "vm", "--as", "owner", "--peer", "b", "--peer-state", inDirectory("state")];
  const refusal = { status: 1, stdout: expect.stringMatching(/^b, the other side: nothing is known: /mu) };
  await startAgain("b").printed("stderr", /is held here/u);
  expect(await peregrine.run(...resolving)).toMatchObject(refusal);
});
