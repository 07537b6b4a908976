import { MigrationError } from "@peregrine/protocol";
import type { GiverKnowledge, RecordedOwnership, TakerKnowledge } from "@peregrine/shared-state";
import { access } from "node:fs/promises";
import { connectToGuest } from "./agent-client.ts";
import type { ReceivedReport } from "./agent-report.ts";
import type { HandOverReport } from "./hand-overs.ts";
import { openRegistry } from "./open-registry.ts";
import { OwnershipFile } from "./ownership-file.ts";
import type { OwnershipDecision } from "./ownership-file.ts";

/** One side of a hand-over: an agent that runs, or what one has left on the disk. */
export interface Side {
  readonly reports: readonly HandOverReport[];
  /** It runs, and what is reported of the migration that was asked about are its records of an earlier time. */
  readonly isRecalled: boolean;
  /** What an operator is told where none of the reports is about the migration that was asked about. */
  readonly nothingKnown: string;
  /** The migration that it needs an operator for. */
  readonly doubt: HandOverReport | undefined;
  readonly resolve: (as: "owner" | "gone") => Promise<void>;
  /** Has an agent that has ended never start the guest again: it went on at the other side. Does nothing to one that runs. */
  readonly leave: (handOver: Pick<HandOverReport, "migration">) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What is asked about a migration. */
interface Question {
  /** Where an agent that has ended has left its records, if that was said. */
  readonly state: string | undefined;
  /** The migration that is asked about; undefined: the one that this side is in doubt about. */
  readonly migration: string | undefined;
}

/** The machine of a program, which nobody keeps for its agent. An image may just be taken from its file. */
const PROGRAM = "wasm-1";

const AS_GIVER: Readonly<Partial<Record<RecordedOwnership, GiverKnowledge>>> = {
  owner: "ended-as-keeper",
  given: "ended-as-given",
  gone: "gone",
};

/** That the guest is gone is recorded at a taker only by an operator, who may have done so against what it knew. */
const OF_TAKER = ["owner", "receiving"] as const;
const AS_TAKER: Readonly<Partial<Record<RecordedOwnership, TakerKnowledge>>> = {
  owner: "owner",
  receiving: "not-owner",
};

/**
 * What the agent `name` knows, or has left if none of that name runs.
 * Errors: NO_SUCH_GUEST when none runs and no records are named; NO_SUCH_FILE when it has left none there, STORE_FAILED;
 * those of asking it.
 */
export async function sideOf(name: string, question: Question): Promise<Side> {
  const { state } = question;
  try {
    return await runningSide(name, question);
  } catch (error) {
    if (state === undefined || !MigrationError.is(error) || error.code !== "NO_SUCH_GUEST") throw error;
    const file = await OwnershipFile.openLeft(state, name);
    return recordedSide(file, question, await keptBy(file));
  }
}

async function runningSide(name: string, question: Question): Promise<Side> {
  const client = await connectToGuest(await openRegistry(), name);
  const report = await client.report();
  const { handOvers } = report;
  const recalled = await recall(name, report, question);
  return {
    reports: [...handOvers, ...recalled],
    isRecalled: recalled.length > 0,
    nothingKnown:
      question.state === undefined
        ? "it does not know this migration, and may have been started again since; name its records with --peer-state, " +
          "or find out what became of the guest there and use --force"
        : `neither it nor its records in ${question.state} tell what became of this migration; find that out and use --force`,
    doubt: handOvers.find(({ knows }) => knows === "given" || knows === "loaded"),
    resolve: async (as) => void (await client.execute("x-peregrine-resolve", { as })),
    leave: () => Promise.resolve(),
    close: () => client.close(),
  };
}

/** @param kept what {@link keptBy} the agent. */
function recordedSide(
  file: OwnershipFile,
  { state, migration: asked }: Question,
  kept: HandOverReport | undefined,
): Side {
  const { last } = file;
  const reports = (migration: string): readonly HandOverReport[] =>
    kept?.migration === migration ? [kept] : reportsOfEnded(file, migration);
  return {
    reports: asked === undefined ? [] : reports(asked),
    isRecalled: false,
    nothingKnown: `its records in ${state} do not tell of this migration; find out what became of it there and use --force`,
    doubt: kept ?? doubtIn(last),
    resolve: (as) => file.write({ ownership: as, migration: last?.migration, peer: last?.peer }),
    leave: (handOver) => file.write({ ownership: "gone", migration: handOver.migration, peer: undefined }),
    close: () => Promise.resolve(),
  };
}

/** An arriving guest that an agent which has ended keeps in a file, and does not know whether it may have it. */
async function keptBy({ last }: OwnershipFile): Promise<HandOverReport | undefined> {
  if (last?.kept === undefined) return undefined;
  const isThere = await access(last.kept).then(
    () => true,
    () => false,
  );
  return isThere ? { side: "taker", migration: last.migration ?? "", knows: "ended-as-loaded" } : undefined;
}

function doubtIn(last: OwnershipDecision | undefined): HandOverReport | undefined {
  if (last?.ownership !== "given" && last?.ownership !== "gone") return undefined;
  const knows = last.ownership === "given" ? "ended-as-given" : "gone";
  return { side: "giver", migration: last.migration ?? "", knows };
}

function reportsOfEnded(file: OwnershipFile, migration: string): readonly HandOverReport[] {
  if (file.about(migration) !== undefined) return recordsOf(file, migration);
  // Nothing was recorded of the migration itself: a source that had the guest before it had not decided.
  return file.last?.ownership === "owner" ? [{ side: "giver", migration, knows: "ended-as-owner" }] : [];
}

/**
 * What is recorded of a migration that the agent does not know: it was started since, or has sent its guest once more.
 * That it does not have the guest by its records counts only where it cannot have got it in another way.
 */
async function recall(
  name: string,
  { handOvers, owner, machine }: ReceivedReport,
  { state, migration: asked }: Question,
): Promise<readonly HandOverReport[]> {
  if (state === undefined || asked === undefined) return [];
  if (handOvers.some(({ migration }) => migration === asked)) return [];
  const records = recordsOf(await OwnershipFile.openLeft(state, name), asked);
  const hasGuest = owner !== "not-owner";
  return records.flatMap((record): readonly HandOverReport[] => {
    if (record.knows === "ended-as-keeper" && hasGuest) return [{ ...record, knows: "owner" }];
    if (record.knows === "ended-as-keeper" || record.knows === "owner") return [record];
    return hasGuest || machine !== PROGRAM ? [] : [record];
  });
}

/** A record does not say on which side it was made: it is read as either, and the one that fits is taken. */
function recordsOf(file: OwnershipFile, migration: string): readonly HandOverReport[] {
  const last = file.about(migration)?.ownership;
  const taken = file.about(migration, OF_TAKER)?.ownership;
  const giver = last && AS_GIVER[last];
  const taker = taken && AS_TAKER[taken];
  return [
    ...(taker === undefined ? [] : [{ side: "taker", migration, knows: taker } as const]),
    ...(giver === undefined ? [] : [{ side: "giver", migration, knows: giver } as const]),
  ];
}
