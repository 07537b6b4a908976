import { MigrationError } from "@peregrine/protocol";
import type { OwnershipLedger, OwnershipRecord, RecordedOwnership } from "@peregrine/shared-state";
import { access, open, readFile, rename, rm } from "node:fs/promises";
import { join, resolve } from "node:path";
import * as v from "valibot";
import { checkGuestName } from "./guest-name.ts";
import { openPrivateDirectory } from "./private-directory.ts";

const SUFFIX = ".owner.json";

/** Decisions about earlier migrations that are kept: whoever is in doubt about one asks soon. */
const LONGEST_HISTORY = 32;

const Decision = v.object({
  ownership: v.picklist(["owner", "given", "gone", "receiving"]),
  /** Undefined for a guest that was started here. */
  migration: v.optional(v.string()),
  peer: v.optional(v.string()),
  /** Of a guest that is being received: the file that has all of it, as soon as it exists. */
  kept: v.optional(v.string()),
  /** When it was decided, as ISO 8601 has it. */
  since: v.string(),
});

const Contents = v.object({
  version: v.literal(1),
  /** Oldest first; the last one is in force. */
  decisions: v.pipe(v.array(Decision), v.nonEmpty()),
});

export type OwnershipDecision = v.InferOutput<typeof Decision>;

/** What an agent knows of its guest after its own end: one file for each guest, in a directory that the user gives. */
export class OwnershipFile implements OwnershipLedger {
  readonly #directory: string;
  readonly #path: string;
  #decisions: readonly OwnershipDecision[];
  /** Writes are made one after the other. Never rejects. */
  #written: Promise<void> = Promise.resolve();

  private constructor(directory: string, path: string, decisions: readonly OwnershipDecision[]) {
    this.#directory = directory;
    this.#path = path;
    this.#decisions = decisions;
  }

  /**
   * What an agent has left: nothing is made. Errors: NO_SUCH_FILE when it has left nothing there, BAD_PARAMETER,
   * STORE_FAILED.
   */
  static async openLeft(directory: string, name: string): Promise<OwnershipFile> {
    checkGuestName(name);
    const path = join(resolve(directory), name + SUFFIX);
    try {
      await access(path);
    } catch (cause) {
      const text =
        `No records of the guest '${name}' are in ${directory}: ${(cause as Error).message}; ` +
        "name the directory that its agent was given with --state";
      throw new MigrationError("NO_SUCH_FILE", text, { cause });
    }
    return OwnershipFile.open(directory, name);
  }

  /** Makes the directory if it does not exist. Errors: BAD_PARAMETER, STORE_FAILED. */
  static async open(directory: string, name: string): Promise<OwnershipFile> {
    checkGuestName(name);
    const place = await openPrivateDirectory(resolve(directory), {
      userId: process.getuid!(),
      what: "The directory of records",
      instead: "give --state a directory of your own",
    });
    const path = join(place, name + SUFFIX);
    return new OwnershipFile(place, path, await readDecisions(path));
  }

  /** What is in force; undefined when nothing was ever decided. */
  get last(): OwnershipDecision | undefined {
    return this.#decisions.at(-1);
  }

  /** What was decided last about one migration. @param among what counts of it; default: everything. */
  about(migration: string, among?: readonly RecordedOwnership[]): OwnershipDecision | undefined {
    return this.#decisions.findLast(
      (decision) => decision.migration === migration && (among?.includes(decision.ownership) ?? true),
    );
  }

  write({
    ownership,
    migration,
    peer,
    kept = this.#keptOf(ownership, migration),
  }: OwnershipRecord): Promise<void> {
    const decision = { ownership, migration, peer, kept, since: new Date().toISOString() };
    const { last } = this;
    // What says the same as before, and of no migration, says no more than that it can be written.
    const isAgain = migration === undefined && last?.migration === undefined && last?.ownership === ownership;
    const before = isAgain ? this.#decisions.slice(0, -1) : this.#decisions;
    const decisions = [...before, decision].slice(-LONGEST_HISTORY);
    this.#decisions = decisions;
    const writing = this.#written.then(() => this.#replace(JSON.stringify({ version: 1, decisions })));
    this.#written = writing.catch(() => undefined);
    return writing;
  }

  /** What was kept of a migration is there until another decision about it says whose it is. */
  #keptOf(ownership: RecordedOwnership, migration: string | undefined): string | undefined {
    if (ownership !== "receiving" || migration === undefined) return undefined;
    return this.about(migration, ["receiving"])?.kept;
  }

  /** The old contents or the new ones, whatever happens meanwhile. */
  async #replace(text: string): Promise<void> {
    const unfinished = `${this.#path}.${process.pid}`;
    try {
      const file = await open(unfinished, "w", 0o600);
      try {
        await file.writeFile(text);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(unfinished, this.#path);
      const directory = await open(this.#directory, "r");
      await directory.sync().finally(() => directory.close());
    } catch (cause) {
      await rm(unfinished, { force: true }).catch(() => undefined);
      throw failed(this.#path, "it cannot be written", cause);
    }
  }
}

/** Errors: STORE_FAILED for a file that is there and not understood: nobody knows then where the guest is. */
async function readDecisions(path: string): Promise<readonly OwnershipDecision[]> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw failed(path, "it cannot be read", cause);
  }
  try {
    return v.parse(Contents, JSON.parse(text)).decisions;
  } catch (cause) {
    throw failed(path, "it is damaged; remove it when you know where the guest is", cause);
  }
}

function failed(path: string, why: string, cause: unknown): MigrationError {
  const detail = cause instanceof Error ? `: ${cause.message}` : "";
  return new MigrationError("STORE_FAILED", `The record of who has the guest, ${path}: ${why}${detail}`, {
    cause,
  });
}
