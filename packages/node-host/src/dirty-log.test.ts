import { DirtyBitmap, PAGE_SIZE } from "@peregrine/shared-state";
import { openMachineRam } from "@peregrine/shared-state/testing";
import { expect, it } from "vitest";
import { createGuest } from "../test/guests.ts";

it("does not log what host calls wrote before the log was begun", async () => {
  // It has asked for its arguments by then, which host calls write.
  const guest = await createGuest("recursion", ["--depth", "9000", "--rounds", "1", "--work", "100000000"]);
  await guest.start();
  await guest.stop();
  await guest.startDirtyLog();
  const ram = await openMachineRam(guest);
  expect(ram.harvest([new DirtyBitmap(ram.blocks[0]!.length / PAGE_SIZE)])).toBe(0);
  await guest.dispose();
});
