import { Random } from "../src/random.ts";
import type { Host } from "../src/agent-process.ts";
import { delay, type WatchedAgent } from "./agents.ts";
import { Dice } from "./dice.ts";
import { FalseDestination } from "./false-destination.ts";
import { forgedRun } from "./forged-run.ts";
import type { LivingGuest, Receiver } from "./living-guest.ts";
import { FaultyLink } from "./link.ts";
import { migrateWith } from "./migrate.ts";
import { resolveDoubt } from "./operator.ts";
import { strikesAnswers, isWrapped, type Plan } from "./plan.ts";
import type { Run } from "./run-result.ts";
import { SmallDisk } from "./small-disk.ts";
import { PLAIN_ANSWER_MS, untilJudged, VERDICT_MS } from "./until-judged.ts";
import type { Verdict } from "./verdict.ts";

/** Time in which what was held back could do harm. Milliseconds. */
const AFTERMATH_MS = 200;

/** Strikes once, and finds out what becomes of the guest. @returns whether it lives. */
export async function strike(run: Run, guest: LivingGuest, host: Host): Promise<boolean> {
  switch (run.plan.fault.kind) {
    case "disk-full":
    case "records-full":
      if (SmallDisk.possible) return overLink(run, guest, host);
      run.outcome = "skipped";
      return true;
    case "false-destination":
      return falseDestination(run, guest, host);
    case "false-source":
      return forgedRun(run, guest, host);
    default:
      return overLink(run, guest, host);
  }
}

async function overLink(run: Run, guest: LivingGuest, host: Host): Promise<boolean> {
  const { plan, diary } = run;
  const source = guest.home;
  const room = plan.fault.kind === "disk-full" ? plan.fault.room : undefined;
  const receiver = await guest.receiver(plan, diary, room);
  const destination = receiver.agent;
  const link = await FaultyLink.open({
    target: receiver.target,
    wrapped: isWrapped(plan.transport),
    point: plan.point,
    fault: plan.fault,
    seed: plan.seed + plan.run,
    struck: (where) => {
      run.strikes(where);
      act(plan, source, destination);
    },
  });
  try {
    await migrateWith(source, throughPort(receiver.uri, link.port), plan, guest.kind);
    const sides = { run, host, source, destination };
    const settling = { ...sides, reached: () => link.reached, pauses: () => link.stopped() };
    let verdict = await untilJudged(settling);
    link.heal();
    if (verdict.kind !== "pending" && mayComeLate(plan)) {
      await delay(AFTERMATH_MS);
      verdict = await untilJudged(settling);
    }
    const asked = verdict.kind === "operator";
    if (asked) {
      if (isEarly(run, link)) run.fails("an operator has to decide although nothing was decided yet");
      await resolveDoubt(sides);
      verdict = await untilJudged(settling);
    }
    for (const agent of [source, destination]) agent.freeDisk();
    const alive = await judged(run, guest, receiver, verdict);
    if (asked) run.outcome = "operator";
    if (alive && guest.home === destination && source.killed) await requireElsewhere(run, guest, source);
    return alive;
  } finally {
    link.close();
    if (guest.home !== destination) await destination.end();
  }
}

/** The same address at a port of this host. */
function throughPort(uri: string, port: number): string {
  return uri.startsWith("ws:") ? uri.replace(/:\d+(?=\/)/u, `:${port}`) : `tcp:127.0.0.1:${port}`;
}

/** Whether the destination cannot have had the whole stream. What a source sent before it was killed still passes. */
function isEarly({ plan: { fault } }: Run, link: FaultyLink): boolean {
  const breaks =
    fault.kind === "cut" ||
    fault.kind === "half-close" ||
    (fault.kind === "kill" && fault.victim === "destination");
  return breaks && !link.wholeWhenStruck;
}

/** A source that was killed after its guest had gone does not start it once more. */
async function requireElsewhere(run: Run, guest: LivingGuest, source: WatchedAgent): Promise<void> {
  const text = await guest.restart(source);
  run.diary.note("restart", text);
  if (!text.includes("GUEST_ELSEWHERE")) run.fails(`the source was started again, and said ${text}`);
}

/** What is done to the agents. */
function act({ fault }: Plan, source: WatchedAgent, destination: WatchedAgent): void {
  if (fault.kind === "kill" || fault.kind === "freeze") {
    const victim = fault.victim === "source" ? source : destination;
    if (fault.kind === "kill") victim.kill();
    else victim.freeze();
  } else if (fault.kind === "records-full") {
    (fault.victim === "source" ? source : destination).fillDisk();
  } else if (fault.kind === "cancel") {
    source.process.execute("migrate_cancel").catch(() => undefined);
  }
}

/** Whether nothing happened that a migration may fail for. */
function mustMove({ plan: { fault }, struckAt }: Run): boolean {
  if (struckAt === undefined) return true;
  return (
    fault.kind === "split" || fault.kind === "slow" || (fault.kind === "stall" && fault.ms !== undefined)
  );
}

/** Whether bytes from before the verdict may still arrive behind it. */
function mayComeLate({ fault }: Plan): boolean {
  return fault.kind === "freeze" || (fault.kind === "stall" && fault.ms === undefined);
}

async function judged(run: Run, guest: LivingGuest, receiver: Receiver, verdict: Verdict): Promise<boolean> {
  if (mustMove(run) && verdict.kind !== "moved") {
    run.fails(`the guest did not move, although nothing was broken: ${JSON.stringify(verdict)}`);
  }
  const damages = run.plan.fault.kind === "corrupt" && !strikesAnswers(run.plan.point);
  if (
    verdict.kind === "wrong" &&
    damages &&
    receiver.agent.hasRun &&
    guest.home.times.at(-1)?.to !== undefined
  ) {
    // It came with what was changed on the way, which nothing in this stream can show, and ended of that.
    run.outcome = "damaged";
    guest.arrivedDamaged(receiver);
    return false;
  }
  switch (verdict.kind) {
    case "moved":
      run.outcome = "moved";
      if (damages && run.struckAt !== undefined) {
        guest.arrivedDamaged(receiver);
        return false;
      }
      guest.arrived(receiver);
      return true;
    case "stayed":
      run.outcome = "stayed";
      if (receiver.agent.hasRun) run.fails("the guest has run at the destination, and the source has it");
      return true;
    case "died":
      run.outcome = "died";
      if (receiver.agent.hasRun) guest.arrived(receiver);
      return false;
    case "operator":
      run.outcome = "operator";
      run.fails("who owns the guest is not decided, and there is nothing to decide it with");
      return false;
    case "standing":
      run.outcome = "standing";
      if (verdict.at === "destination") guest.arrived(receiver);
      await guest.home.process.execute("cont");
      return true;
    case "wrong":
    case "pending":
    default:
      run.fails(verdict.kind === "wrong" ? verdict.what : `no verdict: it waits for ${verdict.for}`);
      if (receiver.agent.hasRun) guest.arrived(receiver);
      return false;
  }
}

async function falseDestination(run: Run, guest: LivingGuest, host: Host): Promise<boolean> {
  const { plan } = run;
  if (plan.fault.kind !== "false-destination") throw new Error("not such a plan");
  const liar = await FalseDestination.open({
    ...plan.fault,
    dice: new Dice(new Random(plan.fault.salt)),
    struck: (where) => run.strikes(where),
  });
  try {
    await migrateWith(guest.home, liar.uri, plan, guest.kind);
    const sides = { run, host, source: guest.home, destination: undefined };
    const within = VERDICT_MS + (liar.isPlainAndSilent ? PLAIN_ANSWER_MS : 0);
    const settling = { ...sides, reached: () => true, within };
    let verdict = await untilJudged(settling);
    if (verdict.kind === "operator") {
      await resolveDoubt(sides);
      verdict = await untilJudged(settling);
    }
    if (verdict.kind === "stayed") {
      run.outcome = "stayed";
      return true;
    }
    run.fails(`the source believed the lie: ${JSON.stringify(verdict)}`);
    return false;
  } finally {
    liar.close();
  }
}
