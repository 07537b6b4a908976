import { checkOpening } from "@peregrine/monitor";
import type { OpeningPolicy } from "@peregrine/monitor";
import * as v from "valibot";
import type { GuestLink } from "./guest-link.ts";

/** Bytes of a URI that a page may send. */
const MOST_URI = 4096;

const Bandwidth = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2 ** 50));
const Downtime = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(2_000_000));

/** What a page can have done to a guest. */
export const Action = v.variant("kind", [
  v.strictObject({
    kind: v.literal("migrate"),
    uri: v.pipe(v.string(), v.minLength(1), v.maxLength(MOST_URI)),
    /** Bytes per second; 0 is unlimited. */
    bandwidth: Bandwidth,
    /** Milliseconds. */
    downtime: Downtime,
    autoConverge: v.boolean(),
    xbzrle: v.boolean(),
  }),
  v.strictObject({ kind: v.literal("cancel") }),
  /** Changes the limits, also while a migration is under way. */
  v.strictObject({ kind: v.literal("limit"), bandwidth: Bandwidth, downtime: Downtime }),
  /** Slows the guest down for the migration that is under way. */
  v.strictObject({ kind: v.literal("converge") }),
  /** Stops the guest for what is left, however much it is. */
  v.strictObject({ kind: v.literal("switchover") }),
  /** Goes on behind a pause before the switchover. */
  v.strictObject({ kind: v.literal("continue") }),
  v.strictObject({ kind: v.literal("stop") }),
  v.strictObject({ kind: v.literal("cont") }),
]);

export type Action = v.InferOutput<typeof Action>;

/**
 * Carries out what a page asks for. A page is a client over the network, also where the dashboard itself is connected as
 * the guest's owner: it names nothing of the host unless that is allowed.
 * Errors: EXEC_NOT_ALLOWED, NOT_FROM_NETWORK; those of the agent.
 */
export async function carryOut(action: Action, link: GuestLink, policy: OpeningPolicy): Promise<void> {
  switch (action.kind) {
    case "migrate": {
      checkOpening(action.uri, "outgoing", policy, true);
      const { uri, bandwidth, downtime, autoConverge, xbzrle } = action;
      const capabilities = [
        { capability: "auto-converge", state: autoConverge },
        { capability: "xbzrle", state: xbzrle },
      ];
      await link.execute("migrate-set-capabilities", { capabilities });
      await limit(link, bandwidth, downtime);
      await link.execute("x-peregrine-migrate", { uri });
      return;
    }
    case "limit":
      await limit(link, action.bandwidth, action.downtime);
      return;
    case "cancel":
      await link.execute("migrate_cancel");
      return;
    case "converge":
      await link.execute("x-peregrine-converge");
      return;
    case "switchover":
      await link.execute("x-peregrine-switchover");
      return;
    case "continue":
      await link.execute("migrate-continue", { state: "pre-switchover" });
      return;
    default:
      await link.execute(action.kind);
  }
}

async function limit(link: GuestLink, bandwidth: number, downtime: number): Promise<void> {
  await link.execute("migrate-set-parameters", { "max-bandwidth": bandwidth, "downtime-limit": downtime });
}
