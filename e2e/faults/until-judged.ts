import { DEFAULT_TIMEOUTS } from "@peregrine/source-agent";
import { delay, type WatchedAgent } from "./agents.ts";
import type { Run } from "./run-result.ts";
import { judge, type Seen, type Verdict } from "./verdict.ts";

/** Within this time of the fault it must be known who has the guest. Milliseconds. */
export const VERDICT_MS = 10_000;

/** A migration without a fault takes less. */
const MIGRATION_MS = 60_000;

/**
 * For so long a source waits for the answer of a destination that has QEMU's protocol alone, whose kernel lives: nothing in
 * that protocol tells one that is silent for ever from one that takes its time, and giving up too early could have the
 * guest run at both ends. Milliseconds.
 */
export const PLAIN_ANSWER_MS = DEFAULT_TIMEOUTS.confirm;

/** Between two looks: short at first, for what comes soon. Milliseconds. */
const FIRST_LOOK_MS = 20;
const LAST_LOOK_MS = 150;

export interface Judged {
  readonly run: Run;
  readonly source: WatchedAgent;
  /** Undefined where the harness plays it. */
  readonly destination: WatchedAgent | undefined;
  /** Whether the destination can know of the source. */
  readonly reached: () => boolean;
  /** Told of a migration that has paused before the switchover, before it goes on. */
  readonly pauses?: () => void;
  /** How long it may take from the fault on, milliseconds. Default: {@link VERDICT_MS}. */
  readonly within?: number;
}

/** Waits until both sides are at rest, or have had the time for it. A side that is frozen goes on when the other is. */
export async function untilJudged({
  run,
  source,
  destination,
  reached,
  pauses = () => undefined,
  within = VERDICT_MS,
}: Judged): Promise<Verdict> {
  let since: number | undefined;
  const begun = Date.now();
  for (let look = FIRST_LOOK_MS; ; look = Math.min(LAST_LOOK_MS, look * 1.1)) {
    const seen = await Promise.all([source.seen(), destination?.seen() ?? ENDED]);
    const verdict = judge(seen[0], seen[1], reached());
    if (verdict.kind !== "pending") return verdict;
    since ??= run.struckAt;
    const limit = since === undefined ? begun + MIGRATION_MS : Math.max(since, begun) + within;
    const frozen = [source, destination].find((agent) => agent?.isFrozen);
    if (frozen !== undefined && otherIsSettled(frozen === source, seen, reached())) {
      frozen.thaw();
      since = Date.now();
    } else if (Date.now() > limit) {
      return verdict;
    }
    if (isPaused(seen[0])) {
      pauses();
      await goOn(source);
    }
    await delay(look);
  }
}

const ENDED: Seen = { kind: "ended", killed: false };

/** What the side that is not frozen has come to, taking the frozen one for dead. */
function otherIsSettled(sourceIsFrozen: boolean, [source, destination]: Seen[], reached: boolean): boolean {
  const dead: Seen = { kind: "ended", killed: true };
  const verdict = sourceIsFrozen ? judge(dead, destination!, reached) : judge(source!, dead, reached);
  return verdict.kind !== "pending";
}

function isPaused(source: Seen): boolean {
  return source.kind === "alive" && source.migration === "pre-switchover";
}

/** A migration that pauses before the switchover is told to go on. */
async function goOn(source: WatchedAgent): Promise<void> {
  await source.process.execute("migrate-continue", { state: "pre-switchover" }).catch(() => undefined);
}
