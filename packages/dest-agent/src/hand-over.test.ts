import { ALL_EXTENSIONS, agreeTo, askFor } from "@peregrine/protocol";
import type { OwnershipLedger, OwnershipRecord } from "@peregrine/shared-state";
import { TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { afterEach, describe, expect, test } from "vitest";
import { closeAll, expectFailed, listening } from "../test/arrival.ts";
import { bytesOf, heard, MIGRATION, offered, offering, PLAIN, step } from "../test/offered-guest.ts";

afterEach(closeAll);

/** Milliseconds. The source lives in this thread, which may stand still for a while. */
const SILENCE = 3000;

/** What is recorded before the source has decided. */
const AWAITED: OwnershipRecord = { ownership: "receiving", migration: MIGRATION, peer: expect.any(String) };

describe("a guest that is handed over", () => {
  test("is not started before the source has decided, and that is recorded", async () => {
    const { guest, incoming, sender, ledger } = await offered();
    expect(sender.messages).toContainEqual({ kind: "pong", value: agreeTo(ALL_EXTENSIONS) });
    expect([guest.run.state, incoming.query().kind, ledger.records]).toEqual([
      "inmigrate",
      "active",
      [AWAITED],
    ]);
    await sender.channel.write(bytesOf({ kind: "alive" }, step("give")));
    await sender.shut();
    expect(sender.messages.at(-1)).toEqual({ kind: "shut", status: 0 });
    expect(ledger.records).toEqual([AWAITED, { ...AWAITED, ownership: "owner" }]);
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
  });

  test("is not said to be loaded before its name is recorded", async () => {
    const asked = Promise.withResolvers<OwnershipRecord>();
    const disk = Promise.withResolvers<void>();
    const ledger: OwnershipLedger = {
      write: (record) => {
        asked.resolve(record);
        return disk.promise;
      },
    };
    const { incoming, connect } = await listening({ ledger, silence: SILENCE });
    const sender = await connect();
    await sender.channel.write(offering());
    const alive = setInterval(() => void sender.channel.write(bytesOf({ kind: "alive" })), 20);
    expect(await asked.promise).toEqual(AWAITED);
    // One comes each second: the source may not be silent for as long.
    await heard(sender, "alive", 4);
    expect(sender.messages.map(({ kind }) => kind)).not.toContain("loaded");
    disk.resolve();
    await heard(sender, "loaded");
    clearInterval(alive);
    await incoming.close();
  });

  test("is thrown away when the source keeps it, also if another name has come of it", async () => {
    const arrival = await offered();
    await arrival.sender.channel.write(bytesOf(step("keep", "ff".repeat(16))));
    await expectFailed(arrival, "CANCELLED", "The source has decided to keep the guest");
  });

  test("is nobody's before an operator has decided when another one is given", async () => {
    const { incoming, sender, doubt } = await offered();
    await sender.channel.write(bytesOf(step("give", "ff".repeat(16))));
    await doubt;
    expect(incoming.query().kind).toBe("undecided");
    await incoming.resolve("gone");
  });

  test("is thrown away when the source keeps it", async () => {
    const arrival = await offered();
    await arrival.sender.channel.write(bytesOf(step("keep")));
    await expectFailed(arrival, "CANCELLED", "The source has decided to keep the guest");
    expect(arrival.sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
    expect(arrival.ledger.records).toEqual([AWAITED]);
    expect(arrival.incoming.handOver).toEqual({ migration: MIGRATION, knows: "not-owner" });
  });

  test.for(["end", "destroy"] as const)(
    "stands still when the source is gone without a decision: %s",
    async (how) => {
      const { guest, incoming, sender, doubt, ledger } = await offered();
      await (how === "end" ? sender.channel.end() : sender.channel.destroy());
      await doubt;
      expect(incoming.query()).toMatchObject({ kind: "undecided", error: { code: "UNDECIDED" } });
      expect(incoming.info()).toMatchObject({
        status: "active",
        "error-desc": expect.stringContaining("peregrine resolve"),
      });
      expect([guest.run.state, guest.machine.running, ledger.records]).toEqual([
        "inmigrate",
        false,
        [AWAITED],
      ]);
    },
  );

  test("stands still when the source falls silent", async () => {
    const { incoming, doubt } = await offered({ silence: SILENCE });
    await doubt;
    expect(incoming.query()).toMatchObject({
      kind: "undecided",
      error: { message: expect.stringContaining("The source has said nothing for 3.0 s") },
    });
  });

  test("stands still also when this side is too busy to hear of that before its thread has ended", async () => {
    const { incoming, guest, doubt } = await offered({ silence: SILENCE });
    // The thread looks for silence several times in that while.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SILENCE + 2000);
    await Promise.race([doubt, incoming.done]);
    expect([incoming.query().kind, guest.run.state]).toEqual(["undecided", "inmigrate"]);
    await incoming.resolve("gone");
  });

  test("runs on an operator's word, once", async () => {
    const { guest, incoming, sender, doubt, ledger } = await offered();
    sender.channel.destroy();
    await doubt;
    await incoming.resolve("owner");
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect([guest.run.state, ledger.records.map(({ ownership }) => ownership)]).toEqual([
      "running",
      ["receiving", "owner"],
    ]);
    await expect(incoming.resolve("gone")).rejects.toMatchObject({ code: "WRONG_STATE" });
  });

  test("is thrown away on an operator's word", async () => {
    const arrival = await offered();
    arrival.sender.channel.destroy();
    await arrival.doubt;
    await arrival.incoming.resolve("gone");
    await expectFailed(arrival, "CANCELLED", "An operator has decided that the guest is elsewhere");
  });

  test("is refused when it cannot be recorded that it is here", async () => {
    const arrival = await offered();
    arrival.ledger.broken = true;
    await arrival.sender.channel.write(bytesOf(step("give")));
    await expectFailed(arrival, "STORE_FAILED", "cannot be recorded");
    expect(arrival.sender.messages.slice(-2)).toEqual([
      { kind: "reason", text: expect.stringContaining("cannot be recorded") },
      { kind: "shut", status: 1 },
    ]);
  });

  test("is called off here, and the source is told", async () => {
    const arrival = await offered();
    await arrival.incoming.close();
    await expectFailed(arrival, "CANCELLED", "was closed");
    expect(arrival.sender.messages.at(-1)).toEqual({ kind: "shut", status: 1 });
  });

  test("has no locks on its drives while nobody knows whose it is", async () => {
    const image = new TestImage(1 << 20);
    const drives = TestDrives.awaited({ disk: image });
    const { incoming, sender, doubt } = await offered({ drives });
    expect(image.holder).toBe(drives);
    sender.channel.destroy();
    await doubt;
    expect(image.holder).toBeUndefined();
    const elsewhere = TestDrives.held({ disk: image });
    await expect(incoming.resolve("owner")).rejects.toMatchObject({ code: "DRIVE_LOCKED" });
    await elsewhere.release();
    await incoming.resolve("owner");
    expect([image.holder, (await incoming.done).kind]).toEqual([drives, "loaded"]);
  });
});

describe("a source that breaks the exchange", () => {
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    [
      "offers without having asked",
      Buffer.concat([PLAIN.upTo("ram-start"), bytesOf(step("offer"))]),
      "Command HAND_OVER OFFER was not agreed on",
    ],
    ["offers twice", offering(ALL_EXTENSIONS, step("offer")), "Command HAND_OVER OFFER came twice"],
    [
      "gives what was not loaded",
      offering(ALL_EXTENSIONS, step("give")),
      "Command HAND_OVER GIVE came before everything was loaded",
    ],
    [
      "keeps what it has not offered",
      Buffer.concat([
        PLAIN.upTo("ram-start"),
        bytesOf({ kind: "ping", value: askFor(ALL_EXTENSIONS) }, step("keep")),
      ]),
      "Command HAND_OVER KEEP is about a guest that was not offered",
    ],
  ];
  test.for(cases)("%s", async ([, stream, text]) => {
    const arrival = await listening();
    const sender = await arrival.connect();
    await sender.channel.write(stream);
    await expectFailed(arrival, "BAD_STREAM_COMMAND", text);
  });
});

test("a source that asks hears why it was refused, and that the destination lives", async () => {
  const arrival = await listening();
  const sender = await arrival.connect();
  await sender.channel.write(offering().subarray(0, PLAIN.offsetOf("ram-start") + 9));
  await heard(sender, "alive");
  await sender.channel.write(bytesOf({ kind: "postcopy-listen" }));
  await sender.shut();
  expect(sender.messages.slice(-2)).toEqual([
    {
      kind: "reason",
      text: await arrival.incoming.done.then((result) => result.kind === "failed" && result.error.message),
    },
    { kind: "shut", status: 1 },
  ]);
});

test("a source that lives and whose stream has a damaged length is told so", async () => {
  const arrival = await listening({ silence: SILENCE });
  const sender = await arrival.connect();
  const stream = offering();
  // The length of the vmdescription, which is the last thing in it.
  const at = stream.length - (PLAIN.bytes.length - PLAIN.offsetOf("vmdescription")) + 1;
  stream[at + 2]! ^= 0x80;
  await sender.channel.write(stream);
  const alive = setInterval(() => void sender.channel.write(bytesOf({ kind: "alive" })).catch(() => {}), 100);
  await sender.shut().finally(() => clearInterval(alive));
  await expectFailed(arrival, "TRUNCATED", "a length in its stream is damaged");
});

test("one that asks for nothing gets nothing but QEMU's answers", async () => {
  const arrival = await listening();
  const sender = await arrival.connect();
  await sender.send(PLAIN.bytes);
  expect(new Set(sender.messages.map(({ kind }) => kind))).toEqual(new Set(["pong", "shut"]));
  expect((await arrival.incoming.done).kind).toBe("loaded");
});
