import { MigrationError } from "@peregrine/protocol";
import { TestDrives, TestImage } from "@peregrine/shared-state/testing";
import { afterEach, describe, expect, test } from "vitest";
import { closeAll, expectFailed, refusal } from "../test/arrival.ts";
import { offered } from "../test/offered-guest.ts";
import type { Offered } from "../test/offered-guest.ts";

afterEach(closeAll);

interface Undecided extends Offered {
  readonly image: TestImage;
  readonly drives: TestDrives;
}

/** A guest with a drive, of which nobody says whose it is. */
async function undecided(): Promise<Undecided> {
  const image = new TestImage(1 << 20);
  const drives = TestDrives.awaited({ disk: image });
  const arrival = await offered({ drives });
  arrival.sender.channel.destroy();
  await arrival.doubt;
  return { ...arrival, image, drives };
}

/** The drives are not locked before that is ended. */
function stallLock(drives: TestDrives): { readonly asked: Promise<void>; readonly goOn: () => void } {
  const asked = Promise.withResolvers<void>();
  const ready = Promise.withResolvers<void>();
  const lock = drives.lock.bind(drives);
  drives.lock = async () => {
    asked.resolve();
    await ready.promise;
    await lock();
  };
  return { asked: asked.promise, goOn: ready.resolve };
}

const kinds = ({ ledger }: Offered): string[] => ledger.decisions.map(({ ownership }) => ownership);

describe("an operator's word that the guest is here", () => {
  test("leaves its drives to others when it cannot be recorded, and can be said again", async () => {
    const arrival = await undecided();
    const { incoming, image, ledger } = arrival;
    ledger.broken = true;
    expect(await refusal(incoming.resolve("owner"))).toMatchObject({
      code: "STORE_FAILED",
      message: "That the guest is here cannot be recorded on this host",
    });
    expect([incoming.query().kind, image.holder]).toEqual(["undecided", undefined]);
    ledger.broken = false;
    await incoming.resolve("owner");
    expect([(await incoming.done).kind, image.holder, kinds(arrival)]).toEqual([
      "loaded",
      arrival.drives,
      ["owner"],
    ]);
  });

  test("comes too late when it is closed while its drives are being locked", async () => {
    const arrival = await undecided();
    const { incoming, image, drives } = arrival;
    const { asked, goOn } = stallLock(drives);
    const resolving = refusal(incoming.resolve("owner"));
    await asked;
    const closing = incoming.close();
    goOn();
    expect((await resolving).code).toBe("WRONG_STATE");
    await closing;
    await expectFailed(arrival, "CANCELLED", "was closed");
    expect([image.holder, kinds(arrival)]).toEqual([undefined, []]);
  });

  test("is done all the same when it is closed while that is being recorded", async () => {
    const arrival = await undecided();
    const { guest, incoming, ledger } = arrival;
    const goOn = ledger.stall();
    const resolving = incoming.resolve("owner");
    await ledger.asked;
    const closing = incoming.close();
    expect(incoming.query().kind).toBe("active");
    goOn();
    await resolving;
    await closing;
    expect(await incoming.done).toMatchObject({ kind: "loaded", runState: "running" });
    expect([guest.machine.running, kinds(arrival)]).toEqual([true, ["owner"]]);
  });

  test("is forgotten when it is closed, and that could not be recorded", async () => {
    const arrival = await undecided();
    const { incoming, image, ledger } = arrival;
    const goOn = ledger.stall();
    const resolving = refusal(incoming.resolve("owner"));
    await ledger.asked;
    const closing = incoming.close();
    expect(incoming.query().kind).toBe("active");
    ledger.broken = true;
    goOn();
    expect((await resolving).code).toBe("STORE_FAILED");
    await closing;
    await expectFailed(arrival, "CANCELLED", "was closed");
    expect([image.holder, kinds(arrival)]).toEqual([undefined, []]);
  });

  test("is taken once, and keeps the drives when it is said twice", async () => {
    const arrival = await undecided();
    const { incoming, image, drives, ledger } = arrival;
    const goOn = ledger.stall();
    const first = incoming.resolve("owner");
    const second = refusal(incoming.resolve("owner"));
    await ledger.asked;
    const third = refusal(incoming.resolve("gone"));
    goOn();
    await first;
    expect([(await second).code, (await third).code]).toEqual(["WRONG_STATE", "WRONG_STATE"]);
    expect([(await incoming.done).kind, image.holder, kinds(arrival)]).toEqual(["loaded", drives, ["owner"]]);
    expect(drives.calls.slice(0, 4)).toEqual(["lock", "unlock", "lock", "takeOver"]);
  });

  test("is answered with why it cannot be started", async () => {
    const arrival = await undecided();
    const { machine } = arrival.guest;
    const start = machine.start.bind(machine);
    machine.start = async () => {
      machine.start = start;
      throw new MigrationError("GUEST_TRAP", "no thread for the guest");
    };
    expect((await refusal(arrival.incoming.resolve("owner"))).code).toBe("GUEST_TRAP");
    await expectFailed(arrival, "GUEST_TRAP", "no thread for the guest");
  });
});
