import type { WatchedAgent } from "./agents.ts";
import { CREDENTIALS } from "./credentials.ts";
import { sentOf } from "./plan.ts";
import type { GuestKind, Plan } from "./plan.ts";

const CAPABILITIES = ["xbzrle", "multifd", "switchover-ack", "pause-before-switchover"] as const;

/** Begins a migration as planned. */
export async function migrateWith(
  source: WatchedAgent,
  uri: string,
  plan: Pick<Plan, "bandwidth" | "downtime" | "capability" | "transport">,
  guest: GuestKind,
): Promise<void> {
  const execute = (command: string, args: Record<string, unknown>): Promise<unknown> =>
    source.process.execute(command, args);
  // Two that exclude each other are never on together, also not while they are being set.
  const states = CAPABILITIES.map((capability) => ({ capability, state: capability === plan.capability }));
  await execute("migrate-set-capabilities", { capabilities: states.filter(({ state }) => !state) });
  await execute("migrate-set-capabilities", { capabilities: states.filter(({ state }) => state) });
  await execute("migrate-set-parameters", {
    "max-bandwidth": plan.bandwidth,
    "downtime-limit": plan.downtime,
    "multifd-channels": 2,
    "tls-creds": plan.transport === "tls" ? CREDENTIALS.client : "",
  });
  const sent = sentOf(guest);
  try {
    await execute("migrate", { uri, blk: sent === "all", inc: sent === "overlay" });
  } catch (error) {
    // What strikes as soon as the source connects can end it before it has answered.
    if (!source.killed) throw error;
  }
}
