import { MigrationError } from "@peregrine/protocol";
import { NO_LEDGER } from "@peregrine/shared-state";
import type { OwnershipLedger } from "@peregrine/shared-state";
import { OwnershipFile } from "./ownership-file.ts";

/**
 * The records of an agent that is about to make its guest, before anything else is done: where the guest is elsewhere,
 * that is the reason, and not that its drives are in use there. Without a directory nothing is kept.
 * Errors: GUEST_ELSEWHERE when it was given away; STORE_FAILED.
 */
export async function recordsOfRun(directory: string | undefined, name: string): Promise<OwnershipLedger> {
  if (directory === undefined) return NO_LEDGER;
  const file = await OwnershipFile.open(directory, name);
  const { last } = file;
  if (last?.ownership === "given" || last?.ownership === "gone") {
    const where = last.peer === undefined ? "" : ` to ${last.peer}`;
    const what = last.ownership === "gone" ? "moved" : "was given";
    const text =
      `The guest '${name}' ${what}${where} on ${last.since}, so it is not started here; if it is to be, ` +
      `peregrine resolve ${name} --as owner --state ${directory}`;
    throw new MigrationError("GUEST_ELSEWHERE", text);
  }
  return file;
}

/** The records of an agent whose guest is to arrive. Errors: STORE_FAILED. */
export async function recordsOfArrival(
  directory: string | undefined,
  name: string,
): Promise<OwnershipLedger> {
  if (directory === undefined) return NO_LEDGER;
  const file = await OwnershipFile.open(directory, name);
  await file.write({ ownership: "receiving" });
  return file;
}
