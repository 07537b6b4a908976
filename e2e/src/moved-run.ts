import { MigrationError } from "@peregrine/protocol";
import { type Guest, pathOf } from "../../examples/guests/guests.ts";
import { Host, migrate, type MigrateResult, type PeregrineProcess } from "./agent-process.ts";
import type { Random } from "./random.ts";
import { GuestDirectories, type RunOutcome } from "./undisturbed.ts";

export interface MovedRun extends RunOutcome {
  /** Migrations that completed. */
  readonly moves: number;
  /** What each of the processes said, and how it ended. */
  readonly diary: string;
}

export interface MoveOptions {
  /** How often it is to be moved, if it lives that long. */
  readonly moves: number;
  /** Longest time before the first move, ms. */
  readonly start: number;
  /** Mean time between the end of a move and the next one, ms. */
  readonly interval: number;
  readonly random: Random;
  /** Tolerated downtime, ms, for a guest that dirties its memory faster than it can be sent. */
  readonly downtime?: number | undefined;
}

/**
 * Runs a guest and moves it from process to process at random moments, by tcp and by unix sockets in turn.
 * @returns the output of all processes, one after the other, and the last one's exit status.
 * Errors: when a migration fails while the guest lives.
 */
export async function runMoved(
  guest: Guest,
  { moves, start, interval, random, downtime }: MoveOptions,
): Promise<MovedRun> {
  await using directories = await GuestDirectories.create(guest);
  await using host = await Host.create();
  const env = Object.entries(guest.env ?? {}).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const startDestination = (n: number): ReturnType<Host["receive"]> => {
    const starting = host.receive(n % 2 === 0 ? "tcp" : "unix");
    // When the guest ends before it listens, it is ended too.
    starting.catch(() => undefined);
    return starting;
  };
  // Each is started a move ahead, so that the guest does not run on meanwhile.
  let waiting = await startDestination(0);
  let current = await host.run(pathOf(guest.file), [...directories.options, ...env], guest.args);
  const chain = [current];
  const giveInput = (): unknown => current.child.stdin!.end(guest.stdin ?? "");
  // A guest that is to wait for its input gets it at the end of its journey.
  const waits = guest.stdinAfterMs !== undefined;
  if (!waits) giveInput();
  await Promise.race([delay(start * random.next()), current.ended]);
  for (let n = 0; n < moves; n++) {
    const following = n + 1 < moves ? startDestination(n + 1) : undefined;
    await Promise.race([delay(interval * 2 * random.next()), current.ended]);
    if (current.hasEnded || !(await moved(current, waiting, downtime))) break;
    current = waiting.agent;
    chain.push(current);
    if (following !== undefined) waiting = await following;
  }
  if (waits) giveInput();
  const { status } = await current.ended;
  // Those before it end by themselves when the guest has moved on.
  const ends = await Promise.all(chain.map(({ ended }) => ended));
  return {
    stdout: Buffer.concat(chain.map((agent) => agent.stdout.bytes)),
    status,
    files: await directories.files(),
    moves: chain.length - 1,
    diary: chain.map((agent, n) => `${n} (status ${ends[n]!.status}): ${agent.stderr.text}`).join("\n"),
  };
}

const delay = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** @returns false when the guest ended by itself before it could be moved. */
async function moved(
  current: PeregrineProcess,
  { uri, agent }: { readonly uri: string; readonly agent: PeregrineProcess },
  downtime: number | undefined,
): Promise<boolean> {
  let result: MigrateResult;
  try {
    result = await migrate(current, uri, { downtime });
  } catch (error) {
    // The agent ends with its guest, and its monitor with it; anything else is a fault.
    if (!isGone(error)) throw error;
    await current.ended;
    return false;
  }
  if (result.status === "completed") return true;
  const reason = result["error-desc"] ?? "";
  if (GUEST_ENDED.test(reason)) return false;
  throw new Error(`the migration ${result.status}: ${reason}\n${agent.stderr.text}`);
}

/** What an agent says whose guest has ended, and while it ends itself because of that. */
const GUEST_ENDED = /guest (program )?(has )?ended|this agent is about to end/i;

function isGone(error: unknown): boolean {
  const { code, message } = MigrationError.from(error);
  return code === "CHANNEL_FAILED" || code === "CONNECT_FAILED" || GUEST_ENDED.test(message);
}
