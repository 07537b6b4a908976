import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CuttingProxy } from "./testing/cutting-proxy.ts";
import type { MESSAGE } from "./testing/cutting-proxy.ts";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

const SWEEPING = ["--", "--mib", "4", "--rate", "16", "--sweeps", "0", "--every", "1"];

async function startGuest(): Promise<TestProcess> {
  const source = peregrine.start("run", guest("torture"), "--name", "a", ...SWEEPING);
  await source.printed("stdout", /sweep 1\n/u);
  return source;
}

async function holdImages(...options: readonly string[]): Promise<[agent: TestProcess, uri: string]> {
  return peregrine.receive("tcp:127.0.0.1:0", "b", "--machine", "image", ...options);
}

function losing(lost: keyof typeof MESSAGE, uri: string): Promise<CuttingProxy> {
  return CuttingProxy.listen(Number(uri.split(":").at(-1)), lost);
}

test("an image of which nobody knows whose it is is neither sent on nor copied", async () => {
  const [image, uri] = await holdImages();
  using way = await losing("give", uri);
  await startGuest();
  expect(await peregrine.run("migrate", "a", way.uri)).toMatchObject({ status: 1 });
  await image.printed("stderr", /UNDECIDED/u);
  const refused = {
    status: 1,
    stderr: expect.stringContaining("the source did not say whether it is to run here"),
  };
  expect(await peregrine.run("migrate", "b", `unix:${peregrine.directory}/x`)).toMatchObject(refused);
  expect(await peregrine.run("inspect", "b")).toMatchObject(refused);
  expect(await peregrine.run("resolve", "b", "--as", "owner", "--force")).toMatchObject({ status: 0 });
  expect(await peregrine.run("inspect", "b")).toMatchObject({ status: 0, stderr: "" });
});

test("nor is one that is still arriving, which is its source's", async () => {
  const [image, uri] = await holdImages();
  const source = await startGuest();
  const migrate = peregrine.start("migrate", "a", uri, "--bandwidth", "1M");
  await migrate.printed("stdout", /^pass \d+/u);
  // Before its first part is there, it is refused for that.
  const memory = async (): Promise<unknown> => (await peregrine.report("b"))["memory"];
  await expect.poll(memory, { timeout: 10_000 }).toBeGreaterThan(0);
  expect(await peregrine.run("migrate", "b", `unix:${peregrine.directory}/x`)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("Guest is waiting for an incoming migration"),
  });
  expect(await peregrine.run("inspect", "b")).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("The virtual machine is not here yet"),
  });
  expect(await peregrine.run("cancel", "a")).toMatchObject({ status: 0 });
  expect(await image.finished()).toMatchObject({ status: 1 });
  const printed = source.stdout.length;
  await source.printed("stdout", new RegExp(`^[^]{${printed}}[^]*sweep \\d+\n`, "u"));
});

test("the file of one that has moved is gone, also if only an operator knows that it has", async () => {
  const store = join(peregrine.directory, "store");
  mkdirSync(store);
  const [image, uri] = await holdImages("--store", store);
  await startGuest();
  expect(await peregrine.run("migrate", "a", uri)).toMatchObject({ status: 0 });
  await image.printed("stderr", /is held here/u);
  expect(readdirSync(store)).toEqual(["b.qemu"]);
  const [destination, last] = await peregrine.receive("tcp:127.0.0.1:0", "c");
  using way = await losing("taken", last);
  expect(await peregrine.run("migrate", "b", way.uri)).toMatchObject({
    status: 1,
    stderr: expect.stringContaining("UNDECIDED"),
  });
  await destination.printed("stdout", /sweep \d+\n/u);
  expect(readdirSync(store)).toEqual(["b.qemu"]);
  expect(await peregrine.run("resolve", "b", "--as", "gone", "--force")).toMatchObject({ status: 0 });
  expect(await image.finished()).toMatchObject({ status: 0 });
  expect(readdirSync(store)).toEqual([]);
});
