import { truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { guest, usePeregrine } from "./testing/peregrine-process.ts";
import type { TestProcess } from "./testing/peregrine-process.ts";

const peregrine = usePeregrine();

const LENGTH = 2_000_000;

/** Makes an empty image file. @returns its path. */
function image(name: string, length = LENGTH): string {
  const path = join(peregrine.directory, name);
  writeFileSync(path, "");
  truncateSync(path, length);
  return path;
}

/** A guest that uses its drive `db` as its database. */
function database(drive: string, operations: number, ...options: readonly string[]): TestProcess {
  const args = [
    "--",
    "/drives/db",
    "--operations",
    String(operations),
    "--pause",
    "500",
    "--sync",
    "20",
    "--every",
    "20",
  ];
  return peregrine.start("run", guest("drive"), "--name", "db", "--drive", drive, ...options, ...args);
}

test("what a guest has synced is in its drive although its agent was killed", async () => {
  const drive = `id=db,file=${join(peregrine.directory, "top")},backing=${image("base")}`;
  const killed = database(drive, 1_000_000);
  await killed.printed("stdout", /operation \d+ /u);
  await killed.kill();
  // It has gone on until it was killed, and may have synced once more than it has said.
  const synced = Number([...killed.stdout.matchAll(/operation (\d+) /gu)].at(-1)![1]);
  const again = await database(drive, synced + 100).finished();
  expect(again).toMatchObject({ status: 0, stderr: "" });
  const [, before] = /places, (\d+) operations before/u.exec(again.stdout)!;
  expect(Number(before)).toBeGreaterThanOrEqual(synced);
  expect(again.stdout).toMatch(/all records intact\n$/u);
});

test("a drive is one agent's at a time", async () => {
  const drive = `id=db,file=${image("image")}`;
  const first = database(drive, 1_000_000);
  await first.printed("stdout", /operations before/u);
  expect(await peregrine.run("run", guest("drive"), "--drive", drive)).toEqual({
    status: 1,
    stdout: "",
    stderr:
      `peregrine: DRIVE_LOCKED: The image file '${join(peregrine.directory, "image")}' of drive 'db' is in use by another process; ` +
      "end the guest or program that uses it, or name another file\n",
  });
  expect(await peregrine.run("quit", "db")).toMatchObject({ status: 0 });
  expect(await first.finished()).toMatchObject({ status: 0 });
  // The program gets as far as to miss its arguments.
  expect(await peregrine.run("run", guest("drive"), "--drive", drive)).toMatchObject({ status: 2 });
});

test("a guest stays when the destination has not been given its drive", async () => {
  const source = database(`id=db,file=${image("image")}`, 1_000_000);
  await source.printed("stdout", /operation 40 /u);
  const [destination, address] = await peregrine.receive("tcp:127.0.0.1:0", "b");
  expect(await peregrine.run("migrate", "db", address)).toMatchObject({ status: 1 });
  expect(await destination.finished()).toMatchObject({
    status: 1,
    stderr: expect.stringMatching(
      /^peregrine: BAD_DRIVE: The guest's drives are not those of this host: its drive 'db' of 2000000 bytes is missing; give it by --drive$/mu,
    ) as string,
  });
  const [, last] = /operation (\d+) [^\n]*\n$/u.exec(source.stdout)!;
  await source.printed("stdout", new RegExp(`operation ${Number(last) + 20} `, "u"));
});

test.each([
  ["NO_SUCH_FILE", ["run", guest("drive")], ["id=a,file=/nowhere"]],
  ["BAD_PARAMETER", ["receive", "tcp:127.0.0.1:0"], ["id=a,file=/a", "id=a,file=/b"]],
] as const)("%s is said of a drive in one sentence", async (code, command, drives) => {
  const given = drives.flatMap((drive) => ["--drive", drive]);
  const { status, stdout, stderr } = await peregrine.run(...command, ...given);
  expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
  expect(stderr).toMatch(new RegExp(`^peregrine: ${code}: [^\n]+\n$`, "u"));
});
