// Runs a real program in one process, moves it to a second while it runs, and checks that neither its output nor
// its exit status shows it.
//
//   node scripts/demo.ts [sqlite | lua]

import { type Guest, demos, pathOf } from "../examples/guests/guests.ts";
import { build } from "../packages/cli/build.ts";
import { Host, type PeregrineProcess } from "../e2e/src/agent-process.ts";
import { GuestDirectories, type RunOutcome, runUndisturbed } from "../e2e/src/undisturbed.ts";
import { difference, differentFile, lines } from "./demo/compare.ts";
import { onEvents, outcomeOf, PassView } from "./demo/migration.ts";
import type { Outcome } from "./demo/migration.ts";
import { Timeline } from "./demo/timeline.ts";
import { mib, milliseconds, rate, seconds } from "./demo/units.ts";

/** Longest that all of it may take. Milliseconds. */
const PATIENCE_MS = 85_000;

/** The program is moved when it has printed this part of its lines. */
const PRINTED_BEFORE = 0.15;

/** The sending rate is first held so low that a pass over all memory takes this part of the program's run. */
const FIRST_PASS = 1 / 7;

const timeline = new Timeline();

/** Both ends of a migration, with the moments between which the program stood still: milliseconds since 1970. */
interface Moved {
  readonly source: PeregrineProcess;
  readonly destination: PeregrineProcess;
  readonly outcome: Outcome;
  readonly stopped: number;
  readonly resumed: number;
}

async function demonstrate(guest: Guest, signal: AbortSignal): Promise<void> {
  console.log(`${guest.file} ${guest.args.join(" ")}\n${guest.about}\n`);

  timeline.say(" ", "the program begins, undisturbed, to compare with");
  const expected = await runUndisturbed(guest, signal);
  signal.throwIfAborted();
  const total = lines(expected.stdout.toString()).length;
  timeline.say(
    " ",
    `it ended with status ${expected.status} after ${seconds(expected.duration)}, ${total} lines`,
  );

  await using directories = await GuestDirectories.create(guest);
  await using host = await Host.create();
  const endHost = (): void => void host[Symbol.asyncDispose]();
  signal.addEventListener("abort", endHost);
  try {
    const moved = await move(host, guest, directories, expected);
    check(moved, expected, await directories.files());
  } finally {
    signal.removeEventListener("abort", endHost);
  }
}

/** Runs the guest, moves it, and waits for its end. */
async function move(
  host: Host,
  guest: Guest,
  directories: GuestDirectories,
  expected: RunOutcome & { readonly duration: number },
): Promise<Moved> {
  const { agent: destination, uri } = await host.receive("tcp");
  timeline.say("B", `process ${destination.child.pid} waits for a program on ${uri}`);
  const source = await host.run(pathOf(guest.file), directories.options, guest.args);
  timeline.say("A", `process ${source.child.pid} runs the program`);

  const stopped = Promise.withResolvers<number>();
  const resumed = Promise.withResolvers<number>();
  const passes = new PassView(source, timeline);
  await source.execute("migrate-set-capabilities", { capabilities: [{ capability: "events", state: true }] });
  let isLimited = true;
  let isStopped = false;
  /** The limit is there so that there is something to see. It is lifted when everything was seen. */
  const onPass = async (pass: number, at: number): Promise<void> => {
    const sawDirtyRate = await passes.show(pass, at, isStopped);
    if (!sawDirtyRate || !isLimited) return;
    isLimited = false;
    timeline.say("A", "the rate limit is lifted");
    await source.execute("migrate-set-parameters", { "max-bandwidth": 0 });
  };
  await onEvents(source, ({ name, data, at }) => {
    if (name === "STOP") {
      timeline.say("A", "the program is stopped", at);
      isStopped = true;
      stopped.resolve(at);
    } else if (name === "MIGRATION_PASS") {
      // Should the source end meanwhile, the migration's outcome says why.
      onPass(Number(data["pass"]), at).catch(() => undefined);
    }
  });
  await onEvents(destination, ({ name, at }) => {
    if (name !== "RESUME") return;
    timeline.say("B", "the program goes on here", at);
    resumed.resolve(at);
  });

  const before = Math.ceil(lines(expected.stdout.toString()).length * PRINTED_BEFORE);
  await source.until("stdout", new RegExp(`^(?:[^\\n]*\\n){${before}}`, "u"));
  const { memory } = await source.execute<{ readonly memory: number }>("x-peregrine-info");
  const limit = Math.round(memory / ((expected.duration / 1000) * FIRST_PASS));
  timeline.say(
    "A",
    `has printed ${before} lines; the migration begins: ${mib(memory)}, at most ${rate(limit)}`,
  );
  const outcome = await outcomeOf(
    host.start(["migrate", source.name, uri, "--bandwidth", String(limit), "--json"]),
  );
  if (outcome.status !== "completed") throw new Error(`the migration ${outcome.status}: ${outcome.message}`);
  const moved = {
    source,
    destination,
    outcome,
    stopped: await whileRunning(stopped.promise, source),
    resumed: await whileRunning(resumed.promise, destination),
  };
  tellSwitchover(moved);
  await source.ended;
  timeline.say("A", `has ended; it printed ${lines(source.stdout.text).length} lines`);
  await destination.ended;
  timeline.say("B", `the program has ended; it printed ${lines(destination.stdout.text).length} lines here`);
  return moved;
}

/** `event`, unless the process ends without it. */
function whileRunning(event: Promise<number>, agent: PeregrineProcess): Promise<number> {
  const ended = agent.ended.then(() => {
    throw new Error(`${agent.name} ended too early: ${agent.stderr.text.trim()}`);
  });
  return Promise.race([event, ended]);
}

function tellSwitchover({ outcome, stopped, resumed }: Moved): void {
  timeline.say(" ", `downtime ${milliseconds(resumed - stopped)}, from the stop at A to the start at B`);
  const { downtimeParts: parts, downtime, passes, transferred, totalTime } = outcome;
  if (parts !== null) {
    const { stop, harvest, lastPages, deviceState, load } = parts;
    timeline.say(
      "A",
      `counts ${downtime} ms: stop ${milliseconds(stop)}, harvest ${milliseconds(harvest)}, last pages ` +
        `${milliseconds(lastPages)}, device state ${milliseconds(deviceState)}, load ${milliseconds(load)}`,
    );
  }
  timeline.say("A", `in all ${passes} passes, ${mib(transferred)} sent in ${seconds(totalTime)}`);
}

/** Errors: a sentence for the first thing that differs from an undisturbed run. */
function check(moved: Moved, expected: RunOutcome, files: ReadonlyMap<string, Buffer>): void {
  const { source, destination } = moved;
  const { stdout: before } = source;
  const { stdout: after } = destination;
  if (before.bytes.length === 0 || after.bytes.length === 0) {
    throw new Error("the program did not print on both sides: it was not moved while it ran");
  }
  const differs = difference(expected.stdout, Buffer.concat([before.bytes, after.bytes]));
  if (differs !== undefined) throw new Error(`the output of the moved program differs: ${differs}`);
  if (source.child.exitCode !== 0) {
    throw new Error(`the source's process ended with status ${source.child.exitCode} instead of 0`);
  }
  const { exitCode: status } = destination.child;
  if (status !== expected.status) {
    throw new Error(`the moved program ended with status ${status}, undisturbed with ${expected.status}`);
  }
  const file = differentFile(expected.files, files);
  if (file !== undefined) throw new Error(`the moved program left another file behind: ${file}`);
  console.log(`\nThe joined output is the same as that of the undisturbed run, to the byte: \
${expected.stdout.length} bytes. So are the exit status, ${status}, and the files that the program wrote.`);
}

/** Aborted when the demonstration is to give up: the reason is an Error with a sentence. */
function givingUp(): AbortSignal {
  const controller = new AbortController();
  const timer = setTimeout(
    () => controller.abort(new Error(`it took more than ${PATIENCE_MS / 1000} s`)),
    PATIENCE_MS,
  );
  timer.unref();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(name, () => controller.abort(new Error(`it was ended by ${name}`)));
  }
  return controller.signal;
}

async function main(name = "sqlite"): Promise<number> {
  const guest = demos.find((demo) => demo.name === name);
  if (guest === undefined) {
    console.error(`usage: demo [${demos.map((demo) => demo.name).join(" | ")}]`);
    return 2;
  }
  const signal = givingUp();
  try {
    await build();
    await demonstrate(guest, signal);
    return 0;
  } catch (error) {
    const { message } = (signal.aborted ? signal.reason : error) as Error;
    console.error(`\nThe demonstration failed: ${message}.`);
    return 1;
  }
}

process.exitCode = await main(process.argv[2]);
