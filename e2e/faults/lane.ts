import { Host } from "../src/agent-process.ts";
import { makeCredentials } from "./credentials.ts";
import { Diary } from "./diary.ts";
import { LivingGuest } from "./living-guest.ts";
import { migrateWith } from "./migrate.ts";
import type { GuestKind, Plan } from "./plan.ts";
import { Run } from "./run-result.ts";
import { strike } from "./run.ts";
import { untilJudged } from "./until-judged.ts";

/** A guest that lives prints within this time, on a busy machine too. Milliseconds. */
const LINE_MS = 5000;

/** How the guest is moved when nothing disturbs it. */
const UNDISTURBED = {
  capability: "none",
  transport: "unix",
  bandwidth: 0,
  downtime: 300,
} as const;

/** Runs that follow each other, with the same guest as long as it lives. */
export class Lane implements AsyncDisposable {
  readonly #host: Host;
  readonly #pki: string;
  #guest: LivingGuest | undefined;
  #guests = 0;

  static async open(): Promise<Lane> {
    const host = await Host.create();
    return new Lane(host, await makeCredentials(host.directory));
  }

  private constructor(host: Host, pki: string) {
    this.#host = host;
    this.#pki = pki;
  }

  async run(plan: Plan): Promise<Run> {
    const run = new Run(plan, new Diary());
    try {
      await this.#run(run);
    } catch (error) {
      run.fails(error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    if (run.wrong.length > 0) await this.#discard();
    return run;
  }

  async #run(run: Run): Promise<void> {
    const guest = await this.#guestOf(run.plan.guest, run.diary);
    const alive = await strike(run, guest, this.#host);
    if (alive) await guest.home.printsOn(LINE_MS);
    // One that was changed on the way may say anything.
    for (const wrong of await guest.check(alive)) run.fails(wrong);
    if (alive && run.wrong.length === 0) await this.#moveOn(run, guest);
    else await this.#discard();
  }

  /** After a fault, a migration without one succeeds. */
  async #moveOn(run: Run, guest: LivingGuest): Promise<void> {
    const source = guest.home;
    const receiver = await guest.receiver(UNDISTURBED, run.diary);
    await migrateWith(source, receiver.uri, UNDISTURBED, guest.kind);
    const verdict = await untilJudged({
      run: new Run(run.plan, run.diary),
      source,
      destination: receiver.agent,
      reached: () => true,
    });
    if (receiver.agent.hasRun) guest.arrived(receiver);
    else await receiver.agent.end();
    if (verdict.kind !== "moved") {
      run.fails(`the next migration did not succeed: ${JSON.stringify(verdict)}`);
      return;
    }
    await guest.home.printsOn(LINE_MS);
    for (const wrong of await guest.check(true)) run.fails(`after the next migration, ${wrong}`);
    await source.end();
  }

  async #guestOf(kind: GuestKind, diary: Diary): Promise<LivingGuest> {
    if (this.#guest !== undefined && this.#guest.kind !== kind) await this.#discard();
    this.#guest ??= await LivingGuest.start(
      { host: this.#host, pki: this.#pki },
      kind,
      this.#guests++,
      diary,
    );
    this.#guest.home.diary = diary;
    return this.#guest;
  }

  async #discard(): Promise<void> {
    const guest = this.#guest;
    this.#guest = undefined;
    await guest?.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#discard();
    await this.#host[Symbol.asyncDispose]();
  }
}
