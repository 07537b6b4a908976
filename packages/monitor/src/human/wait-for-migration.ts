import { isUnderWay } from "@peregrine/shared-state";
import type { IncomingInfo, MigrationInfo } from "@peregrine/shared-state";
import { setTimeout as delay } from "node:timers/promises";
import type { AgentControl } from "../agent-control.ts";
import type { Terminal } from "./human-command.ts";

/** How often the progress of disks is printed, ms. */
const PROGRESS_MS = 1000;

/**
 * Waits until the migration that was just started has ended, or nobody reads any more. Prints how far the
 * disks are, if disks are sent, and why the migration failed.
 */
export async function waitForMigration(agent: AgentControl, terminal: Terminal): Promise<void> {
  let change = new AbortController();
  const unsubscribe = agent.subscribe(({ name }) => {
    if (name === "MIGRATION") change.abort();
  });
  try {
    for (;;) {
      // It may also be one of a guest that arrives, so each is waited for anew.
      change = new AbortController();
      const info = await agent.queryMigrate(terminal.client);
      if (info.status === "failed") terminal.print(`Error: ${info["error-desc"]}\n`);
      if (!isUnderWay(info.status ?? "none") || terminal.gone.aborted) return;
      const progress = progressOf(info);
      if (progress !== undefined) terminal.print(`${progress}\r`);
      const signal = AbortSignal.any([change.signal, terminal.gone]);
      await delay(PROGRESS_MS, undefined, { signal }).catch(() => {});
    }
  } finally {
    unsubscribe();
  }
}

function progressOf(info: MigrationInfo | IncomingInfo): string | undefined {
  if (!("disk" in info) || info.disk === undefined) return undefined;
  const { transferred, total } = info.disk;
  return `Completed ${total === 0 ? 0 : Math.floor((transferred * 100) / total)} %`;
}
