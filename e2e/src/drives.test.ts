import { createHash } from "node:crypto";
import { mkdtemp, open, readdir, readFile, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { referenceDrive } from "../../examples/guests/drive-reference.ts";
import { pathOf } from "../../examples/guests/guests.ts";
import { Host, migrationEnd, type MigrateResult, type PeregrineProcess } from "./agent-process.ts";

const MiB = 1 << 20;
/** The last chunk is not whole, and neither is the last sector. */
const LENGTH = 8 * MiB + 700;
const OPERATIONS = 8000;
/** Those of a guest whose drive is large and hardly written to. */
const FEW = 40;

/** One folder for each side. What both share lies beside them. */
let directory: string;
let here: string;
let there: string;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "peregrine-drives-"));
  here = join(directory, "here.img");
  there = join(directory, "there.img");
});

afterEach(() => rm(directory, { recursive: true }));

async function makeImage(path: string, length = LENGTH): Promise<void> {
  await using file = await open(path, "w");
  await file.truncate(length);
}

/**
 * A program that uses a drive as its database, and was at work. It is stopped, so that it does not come to its end
 * before the test has come to the point.
 */
async function startGuest(host: Host, drive: string, operations = OPERATIONS): Promise<PeregrineProcess> {
  const [pause, every] = operations === FEW ? ["100000", "1"] : ["300", "10"];
  const args = ["/drives/db", "--operations", String(operations), "--pause", pause];
  const options = ["--keep", "--drive", drive];
  const guest = await host.run(pathOf("drive.wasm"), options, [...args, "--sync", "500", "--every", every]);
  await guest.until("stdout", /operation/);
  await guest.execute("stop");
  return guest;
}

function driveOf(file: string, backing?: string): string {
  return `id=db,file=${file}${backing === undefined ? "" : `,backing=${backing}`}`;
}

/** Moves a program while it writes. */
async function move(
  guest: PeregrineProcess,
  uri: string,
  flags: { readonly blk?: boolean; readonly inc?: boolean },
): Promise<MigrateResult> {
  // It goes on when the migration is under way, and that does not end before.
  await guest.execute("migrate_set_speed", { value: 1000 });
  await guest.execute("migrate", { uri, ...flags });
  await guest.execute("cont");
  await guest.execute("migrate_set_speed", { value: 0 });
  return migrationEnd(guest);
}

/** It ends by itself, and has found all that it wrote. */
async function expectIntact(guest: PeregrineProcess, operations = OPERATIONS): Promise<void> {
  expect([(await guest.ended).status, guest.stderr.text]).toEqual([0, guest.stderr.text]);
  expect(guest.stdout.text).toContain(`drive: ${operations} operations, all records intact\n`);
}

async function hashOf(path: string): Promise<string> {
  return createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
}

async function expectReference(path: string, length = LENGTH, operations = OPERATIONS): Promise<void> {
  const image = await readFile(path);
  expect(image.compare(referenceDrive(new Uint8Array(length), operations))).toBe(0);
}

/** Nobody but the guest can use the image. The guest, which runs, does not come to its end meanwhile. */
async function expectInUse(host: Host, guest: PeregrineProcess, file: string): Promise<void> {
  await guest.execute("stop");
  const other = host.start(["run", pathOf("drive.wasm"), "--drive", driveOf(file)]);
  expect((await other.ended).status).toBe(1);
  expect(other.stderr.text).toMatch(/^peregrine: DRIVE_LOCKED: /);
  await guest.execute("cont");
}

/** No file is left of what was to arrive. */
async function expectOnly(...files: readonly string[]): Promise<void> {
  expect((await readdir(directory)).toSorted()).toEqual([...files].toSorted());
}

/** Starts a program that looks for what it had written. */
function reopen(host: Host, drive: string, operations = OPERATIONS): PeregrineProcess {
  const args = ["/drives/db", "--operations", String(operations)];
  return host.start(["run", pathOf("drive.wasm"), "--drive", drive, "--", ...args]);
}

describe("a program moves with its database", () => {
  it("while it writes to it, and the image at the source is not touched again", async () => {
    await using host = await Host.create();
    await makeImage(here);
    await makeImage(there);
    const { agent, uri } = await host.receive("tcp", ["--drive", driveOf(there)]);
    const guest = await startGuest(host, driveOf(here));
    expect(await move(guest, uri, { blk: true })).toMatchObject({ status: "completed" });
    const left = await hashOf(here);
    await expectInUse(host, agent, there);

    await expectIntact(agent);
    await expectReference(there);
    expect(await hashOf(here)).toBe(left);
    expect(agent.stderr.text).toContain("100 % of the drives have come");
    await expectOnly("here.img", "there.img");
    await expect(guest.execute("cont")).rejects.toThrow("took over the guest");
  });

  it("with what it has written, when both sides share the rest", async () => {
    await using host = await Host.create();
    const base = join(directory, "base.img");
    const length = 256 * MiB;
    await makeImage(base, length);
    const before = await stat(base);
    const { agent, uri } = await host.receive("unix", ["--drive", driveOf(there, base)]);
    const guest = await startGuest(host, driveOf(here, base), FEW);
    expect(await move(guest, uri, { inc: true })).toMatchObject({ status: "completed" });
    await expectIntact(agent, FEW);
    // Each operation can bring two chunks of 1 MiB to the other side, where they meet.
    expect((await stat(there)).blocks * 512).toBeLessThan(2 * (FEW + 1) * MiB);
    expect((await stat(base)).mtimeMs).toBe(before.mtimeMs);
    // Who opens it again finds everything.
    const again = reopen(host, driveOf(there, base), FEW);
    await expectIntact(again, FEW);
    expect(again.stdout.text).toContain(`${FEW} operations before`);
  });

  it("without sending its zeros", async () => {
    await using host = await Host.create();
    const length = 64 * MiB;
    await makeImage(here, length);
    await makeImage(there, length);
    const { agent, uri } = await host.receive("unix", ["--drive", driveOf(there)]);
    const guest = await startGuest(host, driveOf(here), FEW);
    await guest.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "zero-blocks", state: true }],
    });
    const result = await move(guest, uri, { blk: true });
    expect(result).toMatchObject({ status: "completed" });
    expect(result.ram!["transferred"]).toBeLessThan(length);
    await expectIntact(agent, FEW);
    await expectReference(there, length, FEW);
  });

  it("on storage that both sides share: one of them has it at a time", async () => {
    await using host = await Host.create();
    await makeImage(here);
    const { agent, uri } = await host.receive("unix", ["--drive", driveOf(here)]);
    const guest = await startGuest(host, driveOf(here));
    expect(await move(guest, uri, {})).toMatchObject({ status: "completed" });
    await expectInUse(host, agent, here);
    await expectIntact(agent);
    await expectReference(here);
    // It is free now.
    await expectIntact(reopen(host, driveOf(here)));
  });
});

it("a program is restored from a file with its database", async () => {
  await using host = await Host.create();
  await makeImage(here);
  await makeImage(there);
  const guest = await startGuest(host, driveOf(here));
  const file = `file:${join(directory, "guest")}`;
  expect(await move(guest, file, { blk: true })).toMatchObject({ status: "completed" });
  // What happens to the image afterwards does not matter.
  await makeImage(here, 1);
  await expectIntact(host.start(["receive", file, "--drive", driveOf(there)]));
  await expectReference(there);
});

describe("a database stays with its program, and nothing of it at the destination,", () => {
  it("when the destination has no room for it", async () => {
    await using host = await Host.create();
    await makeImage(here);
    await makeImage(there, MiB);
    const { agent, uri } = await host.receive("unix", ["--drive", driveOf(there)]);
    const guest = await startGuest(host, driveOf(here));
    expect(await move(guest, uri, { blk: true })).toMatchObject({ status: "failed" });
    expect((await agent.ended).status).toBe(1);
    expect(agent.stderr.text).toMatch(/BAD_DRIVE: .*'db' has 8389308 bytes at the source and 1048576 here/);
    expect(await readFile(there)).toEqual(Buffer.alloc(MiB));
    await expectOnly("here.img", "there.img");
    await expectInUse(host, guest, here);
    await expectIntact(guest);
    await expectReference(here);
  });

  it("when somebody else has the destination's image", async () => {
    await using host = await Host.create();
    await makeImage(here);
    await makeImage(there);
    const { agent, uri } = await host.receive("unix", ["--drive", driveOf(there)]);
    const other = await startGuest(host, driveOf(there));
    const guest = await startGuest(host, driveOf(here));
    expect(await move(guest, uri, { blk: true })).toMatchObject({ status: "failed" });
    expect((await agent.ended).status).toBe(1);
    expect(agent.stderr.text).toMatch(/peregrine: DRIVE_LOCKED: /);
    await expectIntact(guest);
    await expectReference(here);
    await other.execute("cont");
    await expectIntact(other);
    await expectReference(there);
    await expectOnly("here.img", "there.img");
  });

  it("when the migration is cancelled in the first pass, and it can be moved afterwards", async () => {
    await using host = await Host.create();
    await makeImage(here);
    await makeImage(there);
    const first = await host.receive("unix", ["--drive", driveOf(there)]);
    const second = await host.receive("unix", ["--drive", driveOf(there)]);
    const guest = await startGuest(host, driveOf(here));
    // So slowly that it does not end before the cancel, however busy the machine is.
    await guest.execute("migrate_set_speed", { value: MiB / 4 });
    await guest.execute("migrate", { uri: first.uri, blk: true });
    await first.agent.until("stderr", /10 % of the drives have come/);
    const info = await guest.execute<{ disk: { total: number; remaining: number } }>("query-migrate");
    expect(info.disk.total).toBe(LENGTH);
    expect(info.disk.remaining).toBeGreaterThan(0);
    expect(await readFile(there)).toEqual(Buffer.alloc(LENGTH));
    await guest.execute("migrate_cancel");
    expect(await migrationEnd(guest)).toMatchObject({ status: "cancelled" });
    expect((await first.agent.ended).status).toBe(1);
    expect(await readFile(there)).toEqual(Buffer.alloc(LENGTH));
    await expectOnly("here.img", "there.img");
    await expectInUse(host, guest, here);
    await guest.execute("stop");

    expect(await move(guest, second.uri, { blk: true })).toMatchObject({ status: "completed" });
    await expectIntact(second.agent);
    await expectReference(there);
  });

  it("when the destination is killed", async () => {
    await using host = await Host.create();
    await makeImage(here);
    await makeImage(there);
    const { agent, uri } = await host.receive("unix", ["--drive", driveOf(there)]);
    const guest = await startGuest(host, driveOf(here));
    // So slowly that it does not end before the kill, however busy the machine is.
    await guest.execute("migrate_set_speed", { value: MiB / 4 });
    await guest.execute("migrate", { uri, blk: true });
    await agent.until("stderr", /10 % of the drives have come/);
    agent.child.kill("SIGKILL");
    expect(await migrationEnd(guest)).toMatchObject({ status: "failed" });
    expect(await readFile(there)).toEqual(Buffer.alloc(LENGTH));
    await guest.execute("cont");
    await expectIntact(guest);
    await expectReference(here);
    // Who awaits a guest there next removes what is left.
    await host.receive("unix", ["--drive", driveOf(there)]);
    await expectOnly("here.img", "there.img");
  });
});

it("a guest without drives cannot send any", async () => {
  await using host = await Host.create();
  const guest = await host.run(pathOf("torture.wasm"), [], ["--mib", "1", "--sweeps", "100000"]);
  await expect(guest.execute("migrate", { uri: "unix:/x", blk: true })).rejects.toThrow(
    "Parameter 'blk' cannot be true: the guest has no disks to migrate",
  );
  expect(await guest.execute("query-migrate")).toEqual({});
});
