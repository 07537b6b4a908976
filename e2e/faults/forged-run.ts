import type { Host } from "../src/agent-process.ts";
import { connect, type Socket } from "node:net";
import { Random } from "../src/random.ts";
import { delay, type WatchedAgent } from "./agents.ts";
import { Dice } from "./dice.ts";
import { FalseDestination } from "./false-destination.ts";
import { forge, type ForgedStream } from "./forgeries.ts";
import type { LivingGuest } from "./living-guest.ts";
import type { Target } from "./link.ts";
import { migrateWith } from "./migrate.ts";
import { peregrine } from "./operator.ts";
import { breakOff } from "./pipe.ts";
import type { Run } from "./run-result.ts";
import { untilJudged, VERDICT_MS } from "./until-judged.ts";

/** The head of the message that says so. */
const LOADED = Buffer.from([0x50, 0x45, 0, 16]);

/** Records the guest's stream, changes it, and sends it to a destination. The guest stays where it is. */
export async function forgedRun(run: Run, guest: LivingGuest, host: Host): Promise<boolean> {
  const { plan, diary } = run;
  if (plan.fault.kind !== "false-source") throw new Error("not such a plan");
  const recorder = await FalseDestination.open();
  await migrateWith(guest.home, recorder.uri, plan, guest.kind);
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
    await untilRefused(run, host, agent, stream);
  } finally {
    await agent.end();
  }
  return true;
}

async function send(run: Run, target: Target, stream: ForgedStream, deaf: boolean): Promise<void> {
  const { bytes, ending, decision } = stream;
  const socket = connect({ ...target, allowHalfOpen: true });
  socket.on("error", () => undefined);
  let answers = Buffer.alloc(0);
  if (!deaf) {
    socket.on("data", (chunk: Buffer) => {
      const asked = answers.includes(LOADED);
      answers = Buffer.concat([answers, chunk]);
      if (!asked && answers.includes(LOADED) && decision !== undefined) socket.write(decision);
    });
  }
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

/** The destination refuses it, or cannot know better than to take it, or does not know and is told. */
async function untilRefused(run: Run, host: Host, agent: WatchedAgent, stream: ForgedStream): Promise<void> {
  run.outcome = "refused";
  const deadline = Date.now() + VERDICT_MS;
  for (;;) {
    const seen = await agent.seen();
    if (seen.kind === "ended" || (seen.kind === "alive" && seen.migration === "failed")) break;
    if (seen.kind === "alive" && seen.status !== "inmigrate") break;
    if (seen.kind === "alive" && seen.owner === "undecided" && run.outcome !== "operator") {
      run.outcome = "operator";
      await peregrine(run, host, ["resolve", agent.name, "--as", "gone"]);
    } else if (Date.now() > deadline) {
      run.fails(`the destination has not come to an end with the forged stream: ${JSON.stringify(seen)}`);
      return;
    }
    await delay(20);
  }
  if (!agent.hasRun) return;
  run.outcome = "taken";
  if (stream.detectable) run.fails("the destination started a guest from a forged stream");
}
