import type { IncomingMigration } from "@peregrine/dest-agent";
import type { GiverKnowledge, TakerKnowledge } from "@peregrine/shared-state";
import type { OutgoingMigration } from "@peregrine/source-agent";
import * as v from "valibot";

/** What an agent knows of one guest that was, or is being, handed over. */
export type HandOverReport =
  | { readonly side: "giver"; readonly migration: string; readonly knows: GiverKnowledge }
  | { readonly side: "taker"; readonly migration: string; readonly knows: TakerKnowledge };

/** Of the migration that came here, and of the last one from here. */
export function handOverReports(
  incoming: IncomingMigration | undefined,
  outgoing: OutgoingMigration,
): readonly HandOverReport[] {
  const came = incoming?.handOver;
  const went = outgoing.handOver;
  return [
    ...(came === undefined ? [] : [{ side: "taker", ...came } as const]),
    ...(went === undefined ? [] : [{ side: "giver", ...went } as const]),
  ];
}

/** The same as a client reads it. */
export const HandOvers = v.array(
  v.variant("side", [
    v.object({
      side: v.literal("giver"),
      migration: v.string(),
      knows: v.picklist([
        "owner",
        "given",
        "gone",
        "ended-as-owner",
        "ended-as-keeper",
        "ended-as-given",
        "unknown",
      ]),
    }),
    v.object({
      side: v.literal("taker"),
      migration: v.string(),
      knows: v.picklist(["loaded", "ended-as-loaded", "owner", "not-owner", "unknown"]),
    }),
  ]),
);
