import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "vitest";
import { recordsOfArrival, recordsOfRun } from "./agent-state.ts";
import { OwnershipFile } from "./ownership-file.ts";
import { TemporaryDirectory } from "./testing/temporary-directory.ts";

const FIRST = "11".repeat(16);
const SECOND = "22".repeat(16);

test("what was decided is there when the agent is started again", async () => {
  using directory = new TemporaryDirectory();
  const state = `${directory.path}/state`;
  const file = await OwnershipFile.open(state, "web");
  expect(file.last).toBeUndefined();
  await file.write({ ownership: "owner", migration: FIRST, peer: "tcp:a:1" });
  // Overlapping writes are made in their order.
  await Promise.all([
    file.write({ ownership: "given", migration: SECOND, peer: "tcp:b:1" }),
    file.write({ ownership: "gone", migration: SECOND, peer: "tcp:b:1" }),
  ]);
  const again = await OwnershipFile.open(state, "web");
  expect(again.last).toMatchObject({ ownership: "gone", migration: SECOND, peer: "tcp:b:1" });
  expect(again.about(FIRST)).toMatchObject({ ownership: "owner" });
  expect(again.about("33".repeat(16))).toBeUndefined();
  expect(again.about(SECOND, ["given", "owner"])).toMatchObject({ ownership: "given" });
  expect(again.about(SECOND, ["owner"])).toBeUndefined();
  expect(readdirSync(state)).toEqual(["web.owner.json"]);
  expect((await OwnershipFile.open(state, "db")).last).toBeUndefined();
});

test("a guest that was given away is not started, and one that comes back is", async () => {
  using directory = new TemporaryDirectory();
  const state = `${directory.path}/state`;
  const ledger = await recordsOfRun(state, "web");
  await ledger.write({ ownership: "given", migration: FIRST, peer: "tcp:b:1" });
  await expect(recordsOfRun(state, "web")).rejects.toMatchObject({
    code: "GUEST_ELSEWHERE",
    message: expect.stringMatching(
      /^The guest 'web' was given to tcp:b:1 on \d{4}.*peregrine resolve web --as owner/u,
    ),
  });
  const arrival = await recordsOfArrival(state, "web");
  const back = await OwnershipFile.open(state, "web");
  expect([back.last?.ownership, back.about(FIRST)?.ownership]).toEqual(["receiving", "given"]);
  await arrival.write({ ownership: "owner", migration: SECOND, peer: "b" });
  await recordsOfRun(state, "web");
});

test.for([
  ["given", "was given"],
  ["gone", "moved"],
] as const)("what is kept of a guest that is %s is not taken for the guest", async ([ownership, what]) => {
  using directory = new TemporaryDirectory();
  const state = `${directory.path}/state`;
  const kept = "/store/vm.qemu";
  const ledger = await recordsOfArrival(state, "vm", kept);
  await ledger.write({ ownership, migration: FIRST, peer: "tcp:b:1" });
  await expect(recordsOfArrival(state, "vm", kept)).rejects.toMatchObject({
    code: "GUEST_ELSEWHERE",
    message: expect.stringMatching(
      new RegExp(
        `^The guest 'vm' ${what} to tcp:b:1 on \\d{4}\\S+, so it is not taken from ${kept}; if it is to be, ` +
          `peregrine resolve vm --as owner --state ${state}, and if it is elsewhere, remove the file$`,
        "u",
      ),
    ),
  });
  expect((await OwnershipFile.open(state, "vm")).last?.ownership).toBe(ownership);
  // An operator has said that it is here after all.
  await ledger.write({ ownership: "owner", migration: FIRST, peer: "tcp:b:1" });
  await recordsOfArrival(state, "vm", kept);
  expect((await OwnershipFile.open(state, "vm")).last?.ownership).toBe("receiving");
});

test("the oldest decisions are forgotten, and those of late are not", async () => {
  using directory = new TemporaryDirectory();
  const file = await OwnershipFile.open(`${directory.path}/state`, "web");
  for (let n = 0; n < 40; n++) await file.write({ ownership: "owner", migration: String(n) });
  const again = await OwnershipFile.open(`${directory.path}/state`, "web");
  expect([again.about("7"), again.about("8")?.ownership]).toEqual([undefined, "owner"]);
});

test("what an agent has left is read only where it has left something", async () => {
  using directory = new TemporaryDirectory();
  const state = `${directory.path}/state`;
  const refusal = { code: "NO_SUCH_FILE", message: expect.stringContaining(`'web' are in ${state}: ENOENT`) };
  await expect(OwnershipFile.openLeft(state, "web")).rejects.toMatchObject(refusal);
  expect(readdirSync(directory.path)).toEqual([]);
  await (await OwnershipFile.open(state, "db")).write({ ownership: "owner" });
  await expect(OwnershipFile.openLeft(state, "web")).rejects.toMatchObject(refusal);
  expect((await OwnershipFile.openLeft(state, "db")).last).toMatchObject({ ownership: "owner" });
});

test.for(["", "{", "[]", '{"version":2,"decisions":[]}', '{"version":1,"decisions":[]}'])(
  "a record that is not understood is not taken for none: %s",
  async (text) => {
    using directory = new TemporaryDirectory();
    const state = `${directory.path}/state`;
    mkdirSync(state, { mode: 0o700 });
    writeFileSync(`${state}/web.owner.json`, text);
    await expect(recordsOfRun(state, "web")).rejects.toMatchObject({ code: "STORE_FAILED" });
    expect(readFileSync(`${state}/web.owner.json`, "utf8")).toBe(text);
  },
);

test("records that others could write are not believed", async () => {
  using directory = new TemporaryDirectory();
  const state = `${directory.path}/state`;
  mkdirSync(state);
  chmodSync(state, 0o777);
  await expect(OwnershipFile.open(state, "web")).rejects.toMatchObject({
    code: "BAD_PARAMETER",
    message: expect.stringContaining("is open to other users"),
  });
});
