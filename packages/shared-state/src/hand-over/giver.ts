/**
 * The side that has the guest and gives it away, from the moment at which the guest stands still and everything is sent.
 * docs/handover.md has the whole exchange. Nobody but the giver decides, once, and the decision is on the disk before
 * the taker hears of it. A giver that does not know what has become of its decision keeps the guest stopped.
 */
export type Giver =
  /** The guest is this side's, and nothing is decided. */
  | { readonly kind: "offers" }
  /** The taker has loaded everything. That the guest is given away is being recorded, and nobody was told. */
  | { readonly kind: "deciding"; readonly linked: boolean; readonly calledOff: boolean }
  /** The taker was told. Without a link nobody knows here whether it heard. */
  | { readonly kind: "given"; readonly linked: boolean }
  /** The taker has the guest. */
  | { readonly kind: "gone" }
  /** The guest is this side's for good: what a taker says from now on comes too late. */
  | { readonly kind: "kept" };

/** What happens to the source. */
export type GiverEvent =
  /** The taker has loaded everything. */
  | "loaded"
  /** What was to be recorded is on the disk. */
  | "recorded"
  | "not-recorded"
  /** The taker has the guest. */
  | "taken"
  /** The taker does not have the guest and never will. */
  | "refused"
  | "link-lost"
  /** The migration was cancelled, or has failed here. */
  | "called-off"
  /** An operator has found out who has the guest. */
  | "resolved-owner"
  | "resolved-gone";

/** What the source has to do. */
export type GiverEffect =
  /** A guest that cannot be recorded goes on all the same. */
  | "record-owner"
  /** Answered by `recorded` or `not-recorded`, which the next effects wait for. */
  | "record-given"
  | "record-gone"
  | "send-give"
  | "send-keep"
  /** Put the guest back as it was before it was stopped. */
  | "go-on"
  /** Tell the operator that nobody knows here who has the guest. */
  | "report";

/** How the source's side of a hand-over begins: the guest is offered, and still its own. */
export const GIVER_OFFERS: Giver = { kind: "offers" };
const KEPT: Giver = { kind: "kept" };

/** @returns the state after `event`, and what to do in this order. An event that says nothing new changes nothing. */
export function stepGiver(giver: Giver, event: GiverEvent): readonly [Giver, readonly GiverEffect[]] {
  switch (giver.kind) {
    case "offers":
      return whileOffered(giver, event);
    case "deciding":
      return whileDeciding(giver, event);
    case "given":
      return onceGiven(giver, event);
    default:
      return [giver, []];
  }
}

/** Whether the giver needs an operator: it has decided, and will not hear what has become of that. */
export function giverIsInDoubt(giver: Giver): boolean {
  return giver.kind === "given" && !giver.linked;
}

function whileOffered(giver: Giver, event: GiverEvent): readonly [Giver, readonly GiverEffect[]] {
  switch (event) {
    case "loaded":
      return [{ kind: "deciding", linked: true, calledOff: false }, ["record-given"]];
    case "called-off":
      return [KEPT, takenBack(true)];
    case "refused":
    case "link-lost":
      return [KEPT, takenBack(false)];
    default:
      return [giver, []];
  }
}

function whileDeciding(
  giver: Extract<Giver, { kind: "deciding" }>,
  event: GiverEvent,
): readonly [Giver, readonly GiverEffect[]] {
  switch (event) {
    case "recorded":
      if (giver.linked && !giver.calledOff) return [{ kind: "given", linked: true }, ["send-give"]];
      return [KEPT, takenBack(giver.linked)];
    case "not-recorded":
      return [KEPT, takenBack(giver.linked)];
    case "called-off":
      return [{ ...giver, calledOff: true }, []];
    case "refused":
    case "link-lost":
      return [{ ...giver, linked: false }, []];
    default:
      return [giver, []];
  }
}

/**
 * The record may say already that the guest is given. It is written in any case: who finds it when this process has
 * ended knows that the guest went on here, and that a taker's copy is out of date.
 */
function takenBack(linked: boolean): readonly GiverEffect[] {
  return linked ? ["record-owner", "send-keep", "go-on"] : ["record-owner", "go-on"];
}

function onceGiven(
  giver: Extract<Giver, { kind: "given" }>,
  event: GiverEvent,
): readonly [Giver, readonly GiverEffect[]] {
  switch (event) {
    case "taken":
      return [{ kind: "gone" }, ["record-gone"]];
    case "refused":
      return [KEPT, ["record-owner", "go-on"]];
    case "link-lost":
      return giver.linked ? [{ kind: "given", linked: false }, ["report"]] : [giver, []];
    case "resolved-owner":
      return giver.linked ? [giver, []] : [KEPT, ["record-owner", "go-on"]];
    case "resolved-gone":
      return giver.linked ? [giver, []] : [{ kind: "gone" }, ["record-gone"]];
    default:
      return [giver, []];
  }
}
