import { TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { afterEach, describe, expect, test } from "vitest";
import { closeAll, expectFailed, listening } from "../test/arrival.ts";
import { bytesOf, heard, nextThread, offered, offering, PLAIN, step } from "../test/offered-guest.ts";
import type { Offered } from "../test/offered-guest.ts";

afterEach(closeAll);

/** That the guest is here is being recorded. @returns what lets the disk go on. */
async function recording(arrival: Offered): Promise<() => void> {
  const goOn = arrival.ledger.stall();
  await arrival.sender.channel.write(bytesOf(step("give")));
  await arrival.ledger.asked;
  return goOn;
}

/** The incoming thread dies in the middle of a hand-over. */
describe("a guest whose thread dies", () => {
  test("runs when its source had given it, and that is being recorded", async () => {
    const arrival = await offered();
    const { guest, incoming, ledger } = arrival;
    const goOn = await recording(arrival);
    await arrival.killThread();
    goOn();
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(guest.machine.running).toBe(true);
    expect(ledger.decisions.map(({ ownership }) => ownership)).toEqual(["owner"]);
    expect(incoming.handOver?.knows).toBe("owner");
  });

  test("runs, too, when it was to be closed meanwhile", async () => {
    const arrival = await offered();
    const goOn = await recording(arrival);
    const closing = arrival.incoming.close();
    await arrival.killThread();
    goOn();
    await closing;
    expect(await arrival.incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect(arrival.ledger.decisions.map(({ ownership }) => ownership)).toEqual(["owner"]);
  });

  test("is nobody's before an operator has decided when it cannot be recorded that it is here", async () => {
    const image = new TestImage(1 << 20);
    const arrival = await offered({ drives: TestDrives.awaited({ disk: image }) });
    const { incoming, ledger } = arrival;
    const goOn = await recording(arrival);
    await arrival.killThread();
    ledger.broken = true;
    goOn();
    await arrival.doubt;
    expect(incoming.query()).toMatchObject({ kind: "undecided", error: { code: "UNDECIDED" } });
    expect([incoming.handOver?.knows, ledger.decisions, image.holder]).toEqual(["loaded", [], undefined]);
    ledger.broken = false;
    await incoming.resolve("owner");
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
  });

  test("is thrown away when it cannot be recorded, and was to be closed meanwhile", async () => {
    const arrival = await offered();
    const goOn = await recording(arrival);
    const closing = arrival.incoming.close();
    await arrival.killThread();
    arrival.ledger.broken = true;
    goOn();
    await closing;
    await expectFailed(arrival, "CANCELLED", "was closed");
    expect(arrival.ledger.decisions).toEqual([]);
  });

  test("is nobody's while its source may have decided", async () => {
    const arrival = await offered();
    const { guest, incoming, ledger } = arrival;
    await arrival.killThread();
    await Promise.race([arrival.doubt, incoming.done]);
    expect(incoming.query()).toMatchObject({
      kind: "undecided",
      error: { message: expect.stringContaining("The incoming thread has ended unexpectedly") },
    });
    expect([guest.run.state, guest.machine.running, ledger.decisions]).toEqual(["inmigrate", false, []]);
    await incoming.resolve("owner");
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
  });

  test("stands still as before when nobody had decided", async () => {
    const { incoming, sender, doubt, killThread } = await offered();
    sender.channel.destroy();
    await doubt;
    await killThread();
    expect(incoming.query().kind).toBe("undecided");
    await incoming.resolve("owner");
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
  });

  test("is thrown away at once when its source was not asked, whatever is waited for here", async () => {
    const waited = Promise.withResolvers<void>();
    const started = nextThread();
    const accept = (): Promise<void> => {
      waited.resolve();
      return new Promise(() => {});
    };
    const arrival = await listening({ accept });
    const killThread = await started;
    const sender = await arrival.connect();
    await sender.channel.write(offering());
    await waited.promise;
    await killThread();
    await expectFailed(arrival, "INTERNAL", "The incoming thread has ended unexpectedly");
  });

  test("is passed on all the same when its source had given it", async () => {
    const giving = Promise.withResolvers<void>();
    const taken = Promise.withResolvers<undefined>();
    const given = (): Promise<undefined> => {
      giving.resolve();
      return taken.promise;
    };
    const started = nextThread();
    const arrival = await listening({ passesOn: { given, lost: (reason) => reason } });
    const killThread = await started;
    arrival.incoming.agree(true);
    const sender = await arrival.connect();
    // Nothing is offered before that is agreed on.
    const asked = PLAIN.offsetOf("ram-start") + bytesOf({ kind: "ping", value: 0 }).length;
    await sender.channel.write(offering().subarray(0, asked));
    await heard(sender, "pong", 2);
    await sender.channel.write(offering().subarray(asked));
    await heard(sender, "loaded");
    await sender.channel.write(bytesOf(step("give")));
    await giving.promise;
    await killThread();
    expect(arrival.incoming.query().kind).toBe("active");
    taken.resolve(undefined);
    await expectFailed(arrival, "INTERNAL", "The incoming thread has ended unexpectedly");
  });

  test("is thrown away when it was called off", async () => {
    const arrival = await offered();
    const closing = arrival.incoming.close();
    await arrival.killThread();
    await closing;
    await expectFailed(arrival, "CANCELLED", "was closed");
  });
});
