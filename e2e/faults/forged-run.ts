import { connect, type Socket } from "node:net";
import { Random } from "../src/random.ts";
import { delay, type WatchedAgent } from "./agents.ts";
import { Dice } from "./dice.ts";
import { FalseDestination } from "./false-destination.ts";
import { forge, type ForgedStream } from "./forgeries.ts";
import type { LivingGuest } from "./living-guest.ts";
import type { Target } from "./link.ts";
import { migrateWith } from "./migrate.ts";
import { breakOff } from "./pipe.ts";
import type { Run } from "./run-result.ts";
import { untilJudged, VERDICT_MS } from "./until-judged.ts";

/** Records the guest's stream, changes it, and sends it to a destination. The guest stays where it is. */
export async function forgedRun(run: Run, guest: LivingGuest): Promise<boolean> {
  const { plan, diary } = run;
  if (plan.fault.kind !== "false-source") throw new Error("not such a plan");
  const recorder = await FalseDestination.open();
  await migrateWith(guest.home, recorder.uri, plan, guest.sendsDrive);
  const verdict = await untilJudged({ run, source: guest.home, destination: undefined, reached: () => true });
  const recording = await recorder.recorded;
  recorder.close();
  if (verdict.kind !== "stayed") {
    run.fails(`the recorded guest has not stayed: ${JSON.stringify(verdict)}`);
    return false;
  }
  const stream = forge(recording, plan.fault.forgery, new Dice(new Random(plan.fault.salt)));
  const { agent, target } = await guest.copyReceiver(plan, diary);
  try {
    await send(run, target, stream, plan.fault.forgery === "no answer read");
    await untilTaken(run, agent, stream);
  } finally {
    await agent.end();
  }
  return true;
}

async function send(run: Run, target: Target, { bytes, ending }: ForgedStream, deaf: boolean): Promise<void> {
  const socket = connect({ ...target, allowHalfOpen: true });
  socket.on("error", () => undefined);
  if (!deaf) socket.resume();
  socket.write(bytes, () => finish(socket, ending));
  await new Promise<void>((resolve) => {
    socket.once("connect", () => resolve());
    socket.once("close", () => resolve());
  });
  run.strikes(`with a stream of ${bytes.length} bytes, then ${ending}`);
}

function finish(socket: Socket, ending: ForgedStream["ending"]): void {
  if (ending === "end") socket.end();
  if (ending === "reset") breakOff(socket);
}

/** The destination refuses it, or cannot know better than to take it. */
async function untilTaken(run: Run, agent: WatchedAgent, stream: ForgedStream): Promise<void> {
  const deadline = Date.now() + VERDICT_MS;
  for (;;) {
    const seen = await agent.seen();
    if (seen.kind === "ended" || (seen.kind === "alive" && seen.migration === "failed")) break;
    if (seen.kind === "alive" && seen.status !== "inmigrate") break;
    if (Date.now() > deadline) {
      run.fails(`the destination has not come to an end with the forged stream: ${JSON.stringify(seen)}`);
      return;
    }
    await delay(20);
  }
  run.outcome = agent.hasRun ? "taken" : "refused";
  if (agent.hasRun && stream.detectable) run.fails("the destination started a guest from a forged stream");
}
