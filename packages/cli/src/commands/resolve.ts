import { MigrationError } from "@peregrine/protocol";
import { advise } from "@peregrine/shared-state";
import type { Advice, GiverKnowledge, TakerKnowledge } from "@peregrine/shared-state";
import type { ResolveOptions } from "../command-options.ts";
import { sideOf } from "../hand-over-sides.ts";
import type { Side } from "../hand-over-sides.ts";
import type { HandOverReport } from "../hand-overs.ts";

const KNOWLEDGE: Readonly<Record<GiverKnowledge | TakerKnowledge, string>> = {
  owner: "has the guest",
  given: "has given the guest away, and was not told that it has arrived; holds it, stopped",
  gone: "knows that the guest is at the other side",
  "ended-as-owner": "has ended, and had the guest before the migration",
  "ended-as-keeper": "has ended, and had taken the guest back",
  "ended-as-given": "has ended, and had given the guest away",
  loaded: "holds the guest, stopped, and was not told whether it may run it",
  "ended-as-loaded": "has ended, keeps the guest on its disk, and was not told whether it may have it",
  "not-owner": "does not have the guest, and never ran it",
  unknown: "is not known",
};

/** What an agent that runs had recorded of an earlier time: who knows what has become of the guest since. */
const RECALLED: typeof KNOWLEDGE = {
  ...KNOWLEDGE,
  owner: "had the guest after the migration",
  "ended-as-keeper": "had taken the guest back, and does not have it any more",
};

const ADVICE: Readonly<Record<Advice, string>> = {
  "at the giver": "the guest belongs to the source",
  "at the taker": "the guest belongs to the destination",
  nowhere: "the guest has ended with the process that had it",
  wait: "it cannot be told yet",
};

/**
 * `peregrine resolve`: shows what both sides know of a guest whose hand-over was cut off, and has this side do what the
 * operator says. Errors: WRONG_STATE when there is nothing to resolve, or when the other side is known to contradict or
 * nothing is known of it; those of {@link sideOf}.
 */
export async function resolveCommand(name: string, options: ResolveOptions): Promise<number> {
  const here = await sideOf(name, { state: options.state, migration: undefined });
  try {
    const { doubt } = here;
    if (doubt === undefined) {
      throw new MigrationError(
        "WRONG_STATE",
        `It is known who has the guest '${name}': there is nothing to resolve`,
      );
    }
    const there =
      options.peer === undefined
        ? undefined
        : await sideOf(options.peer, { state: options.peerState, migration: doubt.migration });
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
  // One that does not know this migration may have had its guest all the same, before it was started again.
  const knows = other?.knows ?? "unknown";
  if (other === undefined) write(`${peer}, the other side`, `nothing is known: ${there.nothingKnown}`);
  else if (there.isRecalled) write(`${peer}, the other side, by its records`, RECALLED[knows]);
  else write(`${peer}, the other side`, KNOWLEDGE[knows]);
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
  const why =
    advice === "wait" ? `Whether '${as}' is right is not known` : `As '${as}' would contradict that`;
  throw new MigrationError("WRONG_STATE", `${why}: ${ADVICE[advice]}; with --force it is done all the same`);
}
