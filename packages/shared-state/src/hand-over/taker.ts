/**
 * The side that is to have the guest. It never starts the guest before it has recorded the giver's decision, and it
 * keeps what it has loaded, stopped, for as long as it does not know that the giver has kept the guest.
 */
export type Taker =
  /** Something of the guest is missing. */
  | { readonly kind: "loading" }
  /** The giver was told that everything is loaded. Without a link its decision will not be heard. */
  | { readonly kind: "loaded"; readonly linked: boolean }
  /** The guest is this side's by the giver's decision or an operator's, and that is being recorded. */
  | { readonly kind: "taking"; readonly linked: boolean }
  | { readonly kind: "owns" }
  /** What was loaded is thrown away. */
  | { readonly kind: "gave-up" };

/** What happens to the destination. */
export type TakerEvent =
  /** Everything is loaded. */
  | "complete"
  /** The giver has decided: the guest is this side's. */
  | "give"
  /** The giver has decided: it keeps the guest. */
  | "keep"
  | "recorded"
  | "not-recorded"
  | "link-lost"
  /** The load cannot succeed, or is not wanted any more. */
  | "called-off"
  /** An operator has found out who has the guest. */
  | "resolved-owner"
  | "resolved-gone";

/** What the destination has to do. */
export type TakerEffect =
  /** Answered by `recorded` or `not-recorded`. */
  | "record-owner"
  | "record-receiving"
  | "send-loaded"
  | "send-taken"
  | "send-refused"
  | "start"
  | "discard"
  /** Tell the operator that nobody knows here who has the guest. */
  | "report";

/** How the destination's side of a hand-over begins: the guest is being loaded, and the source's. */
export const TAKER_LOADING: Taker = { kind: "loading" };
const GAVE_UP: Taker = { kind: "gave-up" };

/** @returns the state after `event`, and what to do in this order. An event that says nothing new changes nothing. */
export function stepTaker(taker: Taker, event: TakerEvent): readonly [Taker, readonly TakerEffect[]] {
  switch (taker.kind) {
    case "loading":
      return whileLoading(event);
    case "loaded":
      return whileLoaded(taker, event);
    case "taking":
      return whileTaking(taker, event);
    default:
      return [taker, []];
  }
}

/** Whether the taker needs an operator: it holds the guest, and will not hear who has it. */
export function takerIsInDoubt(taker: Taker): boolean {
  return taker.kind === "loaded" && !taker.linked;
}

function whileLoading(event: TakerEvent): readonly [Taker, readonly TakerEffect[]] {
  switch (event) {
    case "complete":
      // Who finds the record when this process has ended knows that it is about this guest, which did not run here.
      return [{ kind: "loaded", linked: true }, ["record-receiving", "send-loaded"]];
    case "called-off":
      return [GAVE_UP, ["send-refused", "discard"]];
    // Nothing was loaded yet that it could decide about.
    case "give":
      return [GAVE_UP, ["send-refused", "discard"]];
    case "keep":
    case "link-lost":
      return [GAVE_UP, ["discard"]];
    default:
      return [TAKER_LOADING, []];
  }
}

function whileLoaded(
  taker: Extract<Taker, { kind: "loaded" }>,
  event: TakerEvent,
): readonly [Taker, readonly TakerEffect[]] {
  switch (event) {
    case "give":
      return [{ kind: "taking", linked: taker.linked }, ["record-owner"]];
    case "keep":
      return [GAVE_UP, ["discard"]];
    case "link-lost":
      return taker.linked ? [{ kind: "loaded", linked: false }, ["report"]] : [taker, []];
    case "called-off":
      // Whatever the giver decides, it hears or finds out that the guest did not run here.
      return [GAVE_UP, taker.linked ? ["send-refused", "discard"] : ["discard"]];
    case "resolved-owner":
      return taker.linked ? [taker, []] : [{ kind: "taking", linked: false }, ["record-owner"]];
    case "resolved-gone":
      return taker.linked ? [taker, []] : [GAVE_UP, ["discard"]];
    default:
      return [taker, []];
  }
}

function whileTaking(
  taker: Extract<Taker, { kind: "taking" }>,
  event: TakerEvent,
): readonly [Taker, readonly TakerEffect[]] {
  switch (event) {
    case "recorded":
      return [{ kind: "owns" }, taker.linked ? ["send-taken", "start"] : ["start"]];
    case "not-recorded":
      // The giver takes the guest back when it hears of this. When it cannot, the only copy may be here.
      if (taker.linked) return [GAVE_UP, ["record-receiving", "send-refused", "discard"]];
      return [{ kind: "loaded", linked: false }, ["record-receiving", "report"]];
    case "link-lost":
      return [{ ...taker, linked: false }, []];
    default:
      return [taker, []];
  }
}
