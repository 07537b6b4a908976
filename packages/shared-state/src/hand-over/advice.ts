/** What a giver can say of a guest, also after its process has ended: then by its record. */
export type GiverKnowledge =
  /** It runs the guest, or has it stopped for reasons of its own. */
  | "owner"
  /** It has decided to give the guest away and holds it, stopped, without knowing what became of that. */
  | "given"
  | "gone"
  /** The process has ended while the guest stood still, undecided. */
  | "ended-as-owner"
  /** The process has ended; by its record it had taken the guest back after this migration, and the guest went on. */
  | "ended-as-keeper"
  /** The process has ended; by its record it had decided to give the guest away. */
  | "ended-as-given"
  /** It is not settled yet, or nobody could ask. */
  | "unknown";

/** What a destination knows of the guest. */
export type TakerKnowledge =
  /** It holds the guest, stopped, and does not know whether it is its own. */
  | "loaded"
  /** The process has ended while it held the guest so; what it keeps on its disk is all of it. */
  | "ended-as-loaded"
  /** It has the guest; the process that ran it may have ended since. */
  | "owner"
  /** It does not hold the guest and never ran it. */
  | "not-owner"
  | "unknown";

/** Where the guest is to be, once an operator has both sides do so; the side that is `gone` is told first. */
export type Advice = "at the giver" | "at the taker" | "nowhere" | "wait";

/**
 * Who may have the guest, by what both sides know after their connection broke. There is one answer for each pair, so
 * that two operators who see the same never let the guest run twice.
 */
export function advise(giver: GiverKnowledge, taker: TakerKnowledge): Advice {
  if (giver === "unknown" || taker === "unknown") return "wait";
  if (taker === "owner") return "at the taker";
  if (giver === "owner" || giver === "given") return "at the giver";
  // What the taker holds is as the guest was when it stood still, so nobody may have gone on since.
  const holds = taker === "loaded" || taker === "ended-as-loaded";
  if (holds && giver !== "ended-as-keeper") return "at the taker";
  // Whoever had it has ended, and the guest with it.
  return "nowhere";
}
