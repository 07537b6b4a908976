/**
 * A relay in the middle of a hand-over: it takes part in neither decision, and the guest is never its own. To its source
 * it is what the destination is, to its destination what the source is, and it says nothing that it has not heard from the
 * other one. Where it cannot know what the other one has done, it drops the connection: both see what they would see if
 * there were one connection that broke.
 */
export type Passer =
  /** The destination has not loaded everything. The source was told nothing, so it cannot have decided to give. */
  | { readonly kind: "loading" }
  /** The source was asked. Nothing of its decision was passed on. */
  | { readonly kind: "asked" }
  /** The guest is the destination's, unless that says that it is not. */
  | { readonly kind: "given" }
  /** There is nothing more to pass on. */
  | { readonly kind: "over" };

/** What a relay hears, from either side. */
export type PasserEvent =
  /** The destination has loaded everything. */
  | "loaded"
  /** The source has decided. */
  | "give"
  | "keep"
  /** The destination has the guest. One that says so before it was given breaks the protocol, and is lost. */
  | "taken"
  /** The destination does not have the guest and never will. */
  | "refused"
  | "source-lost"
  | "destination-lost"
  /** The migration was cancelled here, or has failed here. */
  | "called-off";

/** What a relay says, to either side. */
export type PasserEffect =
  /** To the source. */
  | "pass-loaded"
  | "pass-taken"
  | "pass-refused"
  | "drop-source"
  /** To the destination. */
  | "pass-give"
  | "pass-keep"
  | "drop-destination";

/** The state in which a relay begins. */
export const PASSER_LOADING: Passer = { kind: "loading" };
const OVER: Passer = { kind: "over" };

/** @returns the state after `event`, and what to do in this order. An event that says nothing new changes nothing. */
export function stepPasser(passer: Passer, event: PasserEvent): readonly [Passer, readonly PasserEffect[]] {
  switch (passer.kind) {
    case "loading":
      return whileLoading(event);
    case "asked":
      return onceAsked(event);
    case "given":
      return onceGiven(event);
    default:
      return [OVER, []];
  }
}

function whileLoading(event: PasserEvent): readonly [Passer, readonly PasserEffect[]] {
  switch (event) {
    case "loaded":
      return [{ kind: "asked" }, ["pass-loaded"]];
    case "keep":
    case "source-lost":
      return [OVER, ["pass-keep"]];
    case "called-off":
      return [OVER, ["pass-keep", "pass-refused"]];
    case "refused":
    case "destination-lost":
      return [OVER, ["pass-refused"]];
    default:
      return [PASSER_LOADING, []];
  }
}

function onceAsked(event: PasserEvent): readonly [Passer, readonly PasserEffect[]] {
  switch (event) {
    case "give":
      return [{ kind: "given" }, ["pass-give"]];
    case "keep":
      return [OVER, ["pass-keep"]];
    case "source-lost":
      // It may have decided either way.
      return [OVER, ["drop-destination"]];
    case "called-off":
      return [OVER, ["pass-keep", "pass-refused"]];
    case "refused":
    case "destination-lost":
      // What the destination holds is never given to it by this side.
      return [OVER, ["pass-refused"]];
    default:
      return [{ kind: "asked" }, []];
  }
}

function onceGiven(event: PasserEvent): readonly [Passer, readonly PasserEffect[]] {
  switch (event) {
    case "taken":
      return [OVER, ["pass-taken"]];
    case "refused":
      return [OVER, ["pass-refused"]];
    case "destination-lost":
      return [OVER, ["drop-source"]];
    default:
      return [{ kind: "given" }, []];
  }
}
