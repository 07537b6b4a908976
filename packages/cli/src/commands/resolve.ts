import { MigrationError } from "@peregrine/protocol";
import { advise } from "@peregrine/shared-state";
import type { Advice, GiverKnowledge, TakerKnowledge } from "@peregrine/shared-state";
import { connectToGuest } from "../agent-client.ts";
import type { AgentClient } from "../agent-client.ts";
import type { ResolveOptions } from "../command-options.ts";
import type { HandOverReport } from "../hand-overs.ts";
import { openRegistry } from "../open-registry.ts";
import { OwnershipFile } from "../ownership-file.ts";
import type { OwnershipDecision } from "../ownership-file.ts";

/** One side of a hand-over: an agent that runs, or what one has left on the disk. */
interface Side {
  readonly reports: readonly HandOverReport[];
  /** The migration that it needs an operator for. */
  readonly doubt: HandOverReport | undefined;
  readonly resolve: (as: "owner" | "gone") => Promise<void>;
  /** Has an agent that has ended never start the guest again: it went on at the other side. Does nothing to one that runs. */
  readonly leave: (handOver: Pick<HandOverReport, "migration">) => Promise<void>;
  readonly close: () => Promise<void>;
}

const KNOWLEDGE: Readonly<Record<GiverKnowledge | TakerKnowledge, string>> = {
  owner: "has the guest",
  given: "has given the guest away, and was not told that it has arrived; holds it, stopped",
  gone: "knows that the guest is at the other side",
  "ended-as-owner": "has ended, and had the guest before the migration",
  "ended-as-keeper": "has ended, and had taken the guest back",
  "ended-as-given": "has ended, and had given the guest away",
  loaded: "holds the guest, stopped, and was not told whether it may run it",
  "not-owner": "does not have the guest, and never ran it",
  unknown: "is not known",
};

const ADVICE: Readonly<Record<Advice, string>> = {
  "at the giver": "the guest belongs to the source",
  "at the taker": "the guest belongs to the destination",
  nowhere: "the guest has ended with the process that had it",
  wait: "it cannot be told yet",
};

/**
 * `peregrine resolve`: shows what both sides know of a guest whose hand-over was cut off, and has this side do what the
 * operator says. Errors: WRONG_STATE when there is nothing to resolve, or when the other side is known to contradict.
 */
export async function resolveCommand(name: string, options: ResolveOptions): Promise<number> {
  const here = await sideOf(name, options.state, undefined);
  try {
    const { doubt } = here;
    if (doubt === undefined) {
      throw new MigrationError(
        "WRONG_STATE",
        `It is known who has the guest '${name}': there is nothing to resolve`,
      );
    }
    const there =
      options.peer === undefined ? undefined : await sideOf(options.peer, options.peerState, doubt.migration);
    try {
      const advice = show(name, doubt, there, options);
      if (options.as === undefined) return 0;
      if (!options.force) requireSound(doubt, options.as, advice);
      // The side that does not get the guest is told first.
      if (options.as === "owner") await there?.leave(doubt);
      await here.resolve(options.as);
      process.stdout.write(`${name}: ${options.as === "owner" ? "has the guest now" : "has given it up"}\n`);
      return 0;
    } finally {
      await there?.close();
    }
  } finally {
    await here.close();
  }
}

/** @returns what follows from what both sides know; undefined when the other one was not asked. */
function show(
  name: string,
  doubt: HandOverReport,
  there: Side | undefined,
  { peer }: ResolveOptions,
): Advice | undefined {
  const other = there?.reports.find(
    ({ migration, side }) => migration === doubt.migration && side !== doubt.side,
  );
  const write = (who: string, what: string): boolean => process.stdout.write(`${who}: ${what}\n`);
  write(`${name}, the ${doubt.side === "giver" ? "source" : "destination"}`, KNOWLEDGE[doubt.knows]);
  if (there === undefined) {
    write("the other side", "was not asked; name it with --peer");
    return undefined;
  }
  // One that knows nothing of this migration never had its guest.
  const knows = other?.knows ?? (doubt.side === "giver" ? "not-owner" : "unknown");
  write(`${peer}, the other side`, KNOWLEDGE[knows]);
  const advice =
    doubt.side === "giver"
      ? advise(doubt.knows, knows as TakerKnowledge)
      : advise(knows as GiverKnowledge, doubt.knows);
  write("so", ADVICE[advice]);
  return advice;
}

function requireSound(doubt: HandOverReport, as: "owner" | "gone", advice: Advice | undefined): void {
  if (advice === undefined) return;
  const isHere = advice === (doubt.side === "giver" ? "at the giver" : "at the taker");
  if (isHere === (as === "owner") && advice !== "wait") return;
  throw new MigrationError(
    "WRONG_STATE",
    `As '${as}' would contradict that: ${ADVICE[advice]}; with --force it is done all the same`,
  );
}

/** @param asked the migration that is asked about; undefined: the one that this side is in doubt about. */
async function sideOf(name: string, state: string | undefined, asked: string | undefined): Promise<Side> {
  try {
    return await runningSide(name);
  } catch (error) {
    if (state === undefined || !MigrationError.is(error) || error.code !== "NO_SUCH_GUEST") throw error;
    return recordedSide(await OwnershipFile.open(state, name), asked);
  }
}

async function runningSide(name: string): Promise<Side> {
  const client: AgentClient = await connectToGuest(await openRegistry(), name);
  const { handOvers } = await client.report();
  return {
    reports: handOvers,
    doubt: handOvers.find(({ knows }) => knows === "given" || knows === "loaded"),
    resolve: async (as) => void (await client.execute("x-peregrine-resolve", { as })),
    leave: () => Promise.resolve(),
    close: () => client.close(),
  };
}

function recordedSide(file: OwnershipFile, asked: string | undefined): Side {
  const { last } = file;
  const decision = asked === undefined ? last : file.about(asked);
  const migration = asked ?? last?.migration ?? "";
  const reports =
    decision === undefined ? undecidedReports(last, migration) : reportsOf(decision.ownership, migration);
  return {
    reports,
    doubt: last?.ownership === "given" || last?.ownership === "gone" ? reports[0] : undefined,
    resolve: (as) => file.write({ ownership: as, migration: last?.migration, peer: last?.peer }),
    leave: (handOver) => file.write({ ownership: "gone", migration: handOver.migration, peer: undefined }),
    close: () => Promise.resolve(),
  };
}

/** Nothing was recorded of the migration itself: a source that had the guest before it had not decided. */
function undecidedReports(last: OwnershipDecision | undefined, migration: string): readonly HandOverReport[] {
  return last?.ownership === "owner" ? [{ side: "giver", migration, knows: "ended-as-owner" }] : [];
}

/** A record does not say on which side it was made: it is read as either, and the one that fits is taken. */
function reportsOf(ownership: OwnershipDecision["ownership"], migration: string): readonly HandOverReport[] {
  switch (ownership) {
    case "given":
      return [{ side: "giver", migration, knows: "ended-as-given" }];
    case "gone":
      return [{ side: "giver", migration, knows: "gone" }];
    case "receiving":
      return [{ side: "taker", migration, knows: "not-owner" }];
    default:
      return [
        { side: "taker", migration, knows: "owner" },
        { side: "giver", migration, knows: "ended-as-keeper" },
      ];
  }
}
