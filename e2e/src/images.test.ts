import { ByteWriter, encodeReturnMessage, type ReturnMessage } from "@peregrine/protocol";
import { once } from "node:events";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type TestProcess, usePeregrine, virtualMachineStream, VM_BLOCK } from "@peregrine/cli/testing";

const peregrine = usePeregrine();

/** What a destination answers a source that has sent one ping. */
const ACCEPTED = answers({ kind: "pong", value: 1 }, { kind: "shut", status: 0 });
const REFUSED = answers({ kind: "pong", value: 1 }, { kind: "shut", status: 1 });

function answers(...messages: readonly ReturnMessage[]): Buffer {
  const writer = new ByteWriter();
  for (const message of messages) encodeReturnMessage(writer, message);
  return Buffer.from(writer.view());
}

function inDirectory(name: string): string {
  return join(peregrine.directory, name);
}

function socketOf(name: string): string {
  return `unix:${inDirectory(`${name}.in`)}`;
}

/** Migrates a virtual machine into an agent that waits, as a QEMU does. @returns all that is answered. */
async function migrateFromQemu(
  name: string,
  { returnPath }: { readonly returnPath: boolean },
): Promise<Buffer> {
  const socket = connect({ path: inDirectory(`${name}.in`), allowHalfOpen: true });
  const answered: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => answered.push(chunk));
  socket.write(virtualMachineStream({ returnPath }));
  if (!returnPath) socket.end();
  await once(socket, "end");
  socket.destroy();
  return Buffer.concat(answered);
}

async function receiveImage(name: string, ...options: readonly string[]): Promise<TestProcess> {
  const [agent] = await peregrine.receive(socketOf(name), name, "--machine", "image", ...options);
  return agent;
}

async function holdImage(name: string, ...options: readonly string[]): Promise<TestProcess> {
  const agent = await receiveImage(name, ...options);
  expect(await migrateFromQemu(name, { returnPath: true })).toEqual(ACCEPTED);
  await agent.printed("stderr", /is held here/u);
  return agent;
}

/** All that the agent `name` holds, or is about to: its source is told that it has it before it says so itself. */
async function contentsOf(name: string): Promise<string> {
  const owner = async (): Promise<unknown> => (await peregrine.report(name))["owner"];
  while ((await owner()) === "not-owner");
  const file = inDirectory(`${name}.copy`);
  const monitor = await peregrine.connect(name);
  await monitor.execute("x-peregrine-copy", { uri: `file:${file}` });
  await monitor.close();
  return file;
}

/** Bytes that the agent `name` has had from its source. */
async function receivedBy(name: string): Promise<number> {
  const { incoming } = (await peregrine.report(name)) as { incoming: { received: number } | null };
  return incoming?.received ?? 0;
}

/** Whether two streams hold the same. How their memory is cut into sections depends on the time that it took. */
async function expectSame(stream: string, other: string): Promise<void> {
  expect(await peregrine.run("inspect", stream, "--diff", other)).toMatchObject({ status: 0, stderr: "" });
}

test("a virtual machine is held, and shown", async () => {
  await holdImage("vm");
  expect(await peregrine.report("vm")).toMatchObject({
    machine: "pc-test-1",
    program: "QEMU virtual machine",
    status: "paused",
    owner: "owner",
    memory: VM_BLOCK.length,
    image: { contents: VM_BLOCK.length, devices: 2, runState: "running" },
  });
  const info = await peregrine.run("info", "vm");
  expect(info.stdout).toMatch(/^image +1 MiB of contents, 2 device sections, running at its source$/mu);
  expect((await peregrine.run("list")).stdout).toMatch(/^vm .*QEMU virtual machine$/mu);
  const cont = await peregrine.run("cont", "vm");
  expect(cont.status).toBe(1);
  expect(cont.stderr).toContain("does not run here");
});

test("a virtual machine that is held can be inspected as often as one likes", async () => {
  await holdImage("vm");
  expect((await peregrine.run("inspect", "vm")).stdout).toContain("pc-test-1");
  expect(await peregrine.run("inspect", "vm", "--verify")).toMatchObject({ status: 0, stderr: "" });
  const device = await peregrine.run("inspect", "vm", "--device", "dev", "--json");
  expect(JSON.parse(device.stdout)).toMatchObject({ name: "dev", bytes: 4, cutBy: "description" });
  expect(await peregrine.run("inspect", "vm", "--diff", "vm")).toMatchObject({ status: 0, stderr: "" });
});

test("one that is held by an agent with credentials for TLS can be inspected; what cannot be copied harms nothing", async () => {
  await holdImage("vm");
  const monitor = await peregrine.connect("vm");
  writeFileSync(inDirectory("keys.psk"), "peregrine:0123456789abcdef0123456789abcdef\n", { mode: 0o600 });
  const credentials = {
    "qom-type": "tls-creds-psk",
    id: "tls0",
    dir: peregrine.directory,
    endpoint: "server",
  };
  await monitor.execute("object-add", credentials);
  await monitor.execute("migrate-set-parameters", { "tls-creds": "tls0" });
  expect(await peregrine.run("inspect", "vm", "--verify")).toMatchObject({ status: 0, stderr: "" });
  const copy = (uri: string): Promise<unknown> => monitor.execute("x-peregrine-copy", { uri });
  await expect(copy(socketOf("copy"))).rejects.toThrow("Expected TLS credentials for a client endpoint");
  await expect(copy("/tmp/copy")).rejects.toThrow("expects a valid migration protocol");
  expect(await peregrine.report("vm")).toMatchObject({ status: "paused" });
  await monitor.close();
});

test("only a virtual machine can be inspected by its name", async () => {
  const nobody = await peregrine.run("inspect", "nobody");
  expect(nobody.status).toBe(1);
  expect(nobody.stderr).toContain("There is no file 'nobody' here and no guest of that name");
  await receiveImage("vm");
  const empty = await peregrine.run("inspect", "vm");
  expect(empty.status).toBe(1);
  expect(empty.stderr).toContain("The virtual machine is not here yet");
});

test.each([
  { send: [], take: [] },
  { send: ["--xbzrle"], take: [] },
  { send: ["--parallel", "2"], take: ["--parallel", "2"] },
  { send: ["--parallel", "3,zlib"], take: ["--parallel", "3"] },
  { send: ["--parallel", "1,zstd"], take: ["--parallel", "1"] },
])("a virtual machine that was sent on with $send is the same", async ({ send, take }) => {
  const agent = await holdImage("vm");
  const before = await contentsOf("vm");
  await receiveImage("vm-2", ...take);
  expect(await peregrine.run("migrate", "vm", socketOf("vm-2"), ...send)).toMatchObject({
    status: 0,
    stderr: "",
  });
  expect(await agent.finished()).toMatchObject({ status: 0 });
  await expectSame(await contentsOf("vm-2"), before);
});

test("a stored virtual machine survives its agent, and its file goes when it has moved", async () => {
  const store = inDirectory("store");
  const agent = await holdImage("vm", "--store", store);
  const before = await contentsOf("vm");
  await expectSame(join(store, "vm.qemu"), before);

  await agent.kill();
  const options = ["--name", "vm", "--machine", "image", "--store", store];
  const again = peregrine.start("receive", socketOf("vm"), ...options);
  await again.printed("stderr", /is taken from file:.*vm\.qemu/u);
  await again.printed("stderr", /is held here/u);

  await receiveImage("vm-2");
  expect(await peregrine.run("migrate", "vm", socketOf("vm-2"))).toMatchObject({ status: 0, stderr: "" });
  expect(await again.finished()).toMatchObject({ status: 0 });
  expect(readdirSync(store)).toEqual([]);
  await expectSame(await contentsOf("vm-2"), before);
});

test("a virtual machine that was sent without a confirmation is held until somebody knows better", async () => {
  const store = inDirectory("store");
  const agent = await holdImage("vm", "--store", store);
  const second = await receiveImage("vm-2");
  const sent = await peregrine.run("migrate", "vm", socketOf("vm-2"), "--no-return-path");
  expect(sent).toMatchObject({ status: 0, stderr: "" });
  expect(sent.stdout).toMatch(/^sent in .*; nobody was asked .* until peregrine quit vm$/mu);
  expect(await peregrine.report("vm")).toMatchObject({ owner: "undecided", status: "paused", moved: false });
  expect(readdirSync(store)).toEqual(["vm.qemu"]);
  // The source was not told when that was.
  await second.printed("stderr", /is held here/u);

  await receiveImage("vm-3");
  expect(await peregrine.run("migrate", "vm", socketOf("vm-3"))).toMatchObject({ status: 0, stderr: "" });
  expect(await agent.finished()).toMatchObject({ status: 0 });
  expect(readdirSync(store)).toEqual([]);
  await expectSame(await contentsOf("vm-3"), await contentsOf("vm-2"));
});

test("a virtual machine that was written into a file has moved there", async () => {
  const agent = await holdImage("vm");
  const file = inDirectory("vm.file");
  const before = await contentsOf("vm");
  expect(await peregrine.run("migrate", "vm", `file:${file}`)).toMatchObject({ status: 0, stderr: "" });
  expect(await agent.finished()).toMatchObject({ status: 0 });
  await expectSame(file, before);
});

test("a source that waits for the answer keeps its guest when it cannot be stored", async () => {
  const store = inDirectory("store");
  // In the place of the file that is to be written.
  mkdirSync(join(store, "vm.qemu.part"), { recursive: true });
  const agent = await receiveImage("vm", "--store", store);
  expect(await migrateFromQemu("vm", { returnPath: true })).toEqual(REFUSED);
  const { status, stderr } = await agent.finished();
  expect(status).toBe(1);
  expect(stderr).toContain("STORE_FAILED");
});

test("nothing stays in the store when the source takes its guest back", async () => {
  const store = inDirectory("store");
  const agent = await receiveImage("vm", "--store", store);
  const stream = virtualMachineStream({ returnPath: true });
  // The rest is in the middle of the memory, where nothing is waited for but more.
  const [most, rest] = [stream.subarray(0, -4096), stream.subarray(-4096)];
  const socket = connect({ path: inDirectory("vm.in") });
  socket.resume();
  socket.write(most);
  while ((await receivedBy("vm")) < most.length);
  // The agent finds the rest and the end together: otherwise the image might be on the disk before the end comes.
  agent.signal("SIGSTOP");
  while (!readFileSync(`/proc/${agent.pid}/stat`, "latin1").includes(") T "));
  socket.end(rest);
  await once(socket, "finish");
  agent.signal("SIGCONT");
  const { status, stderr } = await agent.finished();
  expect(status).toBe(1);
  expect(stderr).toContain("the guest stays there");
  expect(readdirSync(store)).toEqual([]);
});

test("a source that does not wait loses nothing when its guest cannot be stored", async () => {
  const store = inDirectory("store");
  mkdirSync(join(store, "vm.qemu.part"), { recursive: true });
  const agent = await receiveImage("vm", "--store", store);
  expect(await migrateFromQemu("vm", { returnPath: false })).toEqual(Buffer.alloc(0));
  await agent.printed("stderr", /STORE_FAILED.*held in memory only/u);
  await agent.printed("stderr", /is held here/u);
});

test.each([
  { options: [] },
  { options: ["--xbzrle", "--bandwidth", "4M"] },
  { options: ["--parallel", "2"] },
])(
  "a relay with $options hands on what it gets, and answers the source when the destination has it",
  async ({ options }) => {
    await holdImage("vm");
    await receiveImage("vm-2", ...(options.includes("--parallel") ? ["--parallel", "2"] : []));
    const relay = peregrine.start("relay", socketOf("r"), socketOf("vm-2"), "--name", "r", ...options);
    await relay.printed("stderr", /is awaited on/u);
    expect(await migrateFromQemu("r", { returnPath: true })).toEqual(ACCEPTED);
    const { status, stdout } = await relay.finished();
    expect(status).toBe(0);
    expect(stdout).toMatch(/^moved in /mu);
    await expectSame(await contentsOf("vm-2"), await contentsOf("vm"));
  },
);

test("a relay without a destination leaves the guest at the source", async () => {
  const relay = peregrine.start("relay", socketOf("r"), socketOf("nobody"), "--name", "r");
  await relay.printed("stderr", /is awaited on/u);
  expect(await migrateFromQemu("r", { returnPath: true })).toEqual(REFUSED);
  const { status, stderr } = await relay.finished();
  expect(status).toBe(1);
  expect(stderr).toContain("CONNECT_FAILED");
});

test("a relay without a destination holds what the source has given up", async () => {
  const relay = peregrine.start("relay", socketOf("r"), socketOf("nobody"), "--name", "r");
  await relay.printed("stderr", /is awaited on/u);
  await migrateFromQemu("r", { returnPath: false });
  await relay.printed("stderr", /it is held here/u);
  await receiveImage("vm-2");
  expect(await peregrine.run("migrate", "r", socketOf("vm-2"))).toMatchObject({ status: 0, stderr: "" });
  expect(await relay.finished()).toMatchObject({ status: 0 });
  await holdImage("vm");
  await expectSame(await contentsOf("vm-2"), await contentsOf("vm"));
});
