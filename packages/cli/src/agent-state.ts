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
  const where = whereElse(file, name);
  if (where !== undefined) {
    const text = `${where}, so it is not started here; if it is to be, ${takenBack(name, directory)}`;
    throw new MigrationError("GUEST_ELSEWHERE", text);
  }
  return file;
}

/**
 * The records of an agent whose guest is to arrive.
 * @param kept the file that the guest is taken from, where one was kept of it here.
 * Errors: GUEST_ELSEWHERE when what is kept was given away, UNDECIDED when its source may have it still; STORE_FAILED.
 */
export async function recordsOfArrival(
  directory: string | undefined,
  name: string,
  kept?: string,
): Promise<OwnershipLedger> {
  if (directory === undefined) return NO_LEDGER;
  const file = await OwnershipFile.open(directory, name);
  if (kept !== undefined) requireHere(file, { name, directory, kept });
  await file.write({ ownership: "receiving" });
  return file;
}

function requireHere(
  file: OwnershipFile,
  { name, directory, kept }: { readonly name: string; readonly directory: string; readonly kept: string },
): void {
  const elsewhere = whereElse(file, name);
  const where = elsewhere ?? whereUndecided(file, name);
  if (where === undefined) return;
  const text =
    `${where}, so it is not taken from ${kept}; if it is to be, ${takenBack(name, directory)}, ` +
    "and if it is elsewhere, remove the file";
  throw new MigrationError(elsewhere === undefined ? "UNDECIDED" : "GUEST_ELSEWHERE", text);
}

/** Undefined for a guest that was not kept before its source had decided. */
function whereUndecided({ last }: OwnershipFile, name: string): string | undefined {
  if (last?.kept === undefined) return undefined;
  const from = last.peer === undefined ? "" : ` from ${last.peer}`;
  return `The guest '${name}' came${from} on ${last.since}, and whether its source has kept it was not heard`;
}

/** Undefined for a guest that was not given away. */
function whereElse({ last }: OwnershipFile, name: string): string | undefined {
  if (last?.ownership !== "given" && last?.ownership !== "gone") return undefined;
  const where = last.peer === undefined ? "" : ` to ${last.peer}`;
  const what = last.ownership === "gone" ? "moved" : "was given";
  return `The guest '${name}' ${what}${where} on ${last.since}`;
}

/** The command that says that the guest is here after all. */
function takenBack(name: string, directory: string): string {
  return `peregrine resolve ${name} --as owner --state ${directory}`;
}
