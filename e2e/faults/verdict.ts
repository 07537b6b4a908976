import type { Role } from "./plan.ts";

/** What one side is seen to be. */
export type Seen =
  | { readonly kind: "ended"; readonly killed: boolean }
  /** It does not answer its monitor: it is stopped, or about to end. */
  | { readonly kind: "silent" }
  | {
      readonly kind: "alive";
      /** The run state. */
      readonly status: string;
      readonly owner: "owner" | "not-owner" | "undecided";
      /** State of its outgoing migration, or of the incoming one. */
      readonly migration: string | undefined;
    };

/** What became of the guest. */
export type Verdict =
  | { readonly kind: "pending"; readonly for: string }
  /** It runs at the source, and nowhere else. */
  | { readonly kind: "stayed" }
  | { readonly kind: "moved" }
  /** It stands still at the side that owns it, for example because its drives are in use. */
  | { readonly kind: "standing"; readonly at: Role }
  /** It stands still, and who owns it has to be decided by somebody who sees both sides. */
  | { readonly kind: "operator" }
  /** Its owner was killed, and nobody claims it. */
  | { readonly kind: "died" }
  | { readonly kind: "wrong"; readonly what: string };

const OVER = ["completed", "failed", "cancelled"];

/**
 * Who has the guest, from what both sides say.
 * @param reached whether the destination can know that a source has connected.
 */
export function judge(source: Seen, destination: Seen, reached: boolean): Verdict {
  if (runs(source) && runs(destination)) return { kind: "wrong", what: "both sides run the guest" };
  if (!sourceIsSettled(source)) return { kind: "pending", for: `the source, ${describe(source)}` };
  if (!destinationIsSettled(destination, reached))
    return { kind: "pending", for: `the destination, ${describe(destination)}` };
  if (claims(source) && claims(destination)) return { kind: "wrong", what: "both sides own the guest" };
  if (claims(destination)) {
    if (isUndecided(source)) return { kind: "operator" };
    return runs(destination) ? { kind: "moved" } : { kind: "standing", at: "destination" };
  }
  if (claims(source)) {
    if (isUndecided(destination)) return { kind: "operator" };
    return runs(source) ? { kind: "stayed" } : { kind: "standing", at: "source" };
  }
  if (isUndecided(source) || isUndecided(destination)) return { kind: "operator" };
  if (wasKilled(source) || wasKilled(destination)) return { kind: "died" };
  return { kind: "wrong", what: `nobody has the guest: ${describe(source)}; ${describe(destination)}` };
}

function runs(side: Seen): boolean {
  return side.kind === "alive" && side.status === "running";
}

function claims(side: Seen): boolean {
  return side.kind === "alive" && (side.owner === "owner" || side.status === "running");
}

function isUndecided(side: Seen): boolean {
  return side.kind === "alive" && side.owner === "undecided";
}

function wasKilled(side: Seen): boolean {
  return side.kind === "ended" && side.killed;
}

/** A source that has not given the guest away is settled when it is at rest again. */
function sourceIsSettled(side: Seen): boolean {
  if (side.kind !== "alive") return side.kind === "ended";
  if (side.owner === "undecided") return side.migration !== undefined && OVER.includes(side.migration);
  return side.status !== "finish-migrate" && (side.migration === undefined || OVER.includes(side.migration));
}

function destinationIsSettled(side: Seen, reached: boolean): boolean {
  if (side.kind !== "alive") return side.kind === "ended";
  if (side.status !== "inmigrate") return true;
  return side.owner === "undecided" || side.migration === "failed" || !reached;
}

function describe(side: Seen): string {
  switch (side.kind) {
    case "ended":
      return side.killed ? "killed" : "ended";
    case "silent":
      return "which does not answer";
    default:
      return `in run state '${side.status}', '${side.owner}', migration ${side.migration ?? "none"}`;
  }
}
