import type { PeregrineProcess } from "../src/agent-process.ts";
import { atExit } from "./at-exit.ts";
import type { RunTime } from "./checks.ts";
import type { Diary } from "./diary.ts";
import type { SmallDisk } from "./small-disk.ts";
import type { Seen } from "./verdict.ts";

/** An agent that does not answer within this time is silent. Milliseconds. */
const ANSWER_MS = 1000;

interface Info {
  readonly status: string;
  readonly owner: "owner" | "not-owner" | "undecided";
  readonly migration: MigrationInfo;
}

interface MigrationInfo {
  readonly status?: string;
  readonly "error-desc"?: string;
}

/** One agent, with everything about it that can be seen from outside. */
export class WatchedAgent {
  readonly process: PeregrineProcess;
  /** Where what happens is noted: that of the present run. */
  diary: Diary;
  /** When its guest ran. */
  readonly runTimes: { readonly agent: string; readonly from: number; to: number | undefined }[] = [];
  killed = false;
  readonly #disk: SmallDisk | string;
  #error: string | undefined;
  #frozen = false;
  #printed = false;

  /** Resolves when its events are listened to. */
  static async watch(
    process: PeregrineProcess,
    disk: SmallDisk | string,
    diary: Diary,
  ): Promise<WatchedAgent> {
    const agent = new WatchedAgent(process, disk, diary);
    const monitor = await process.monitor();
    monitor.events.subscribe(({ event, data, timestamp: { seconds, microseconds } }) =>
      agent.#onEvent(event, data, seconds * 1000 + microseconds / 1000),
    );
    await monitor.execute("migrate-set-capabilities", {
      capabilities: [{ capability: "events", state: true }],
    });
    const { running } = (await monitor.execute("query-status")) as { readonly running: boolean };
    if (running) agent.#ranFrom(Date.now());
    return agent;
  }

  private constructor(process: PeregrineProcess, disk: SmallDisk | string, diary: Diary) {
    this.process = process;
    this.#disk = disk;
    this.diary = diary;
    process.child.stderr!.on("data", (text: Buffer) => this.note(text.toString()));
    process.child.stdout!.on("data", () => {
      if (!this.#printed) this.note("prints its first line");
      this.#printed = true;
    });
    const kill = atExit(() => process.child.kill("SIGKILL"));
    void process.ended.then(kill);
    void this.#watchEnd();
  }

  get name(): string {
    return this.process.name;
  }

  get output(): string {
    return this.process.stdout.text;
  }

  get isFrozen(): boolean {
    return this.#frozen;
  }

  /** Where its records are. */
  get state(): string {
    return typeof this.#disk === "string" ? this.#disk : this.#disk.path;
  }

  /** Whether its guest has run, or done anything, here. */
  get hasRun(): boolean {
    return this.#printed || this.runTimes.length > 0;
  }

  get times(): readonly RunTime[] {
    return this.runTimes;
  }

  note(text: string): void {
    this.diary.note(this.name, text);
  }

  kill(): void {
    this.killed = true;
    this.note("is killed");
    this.process.child.kill("SIGKILL");
  }

  freeze(): void {
    this.#frozen = true;
    this.note("is frozen");
    this.process.child.kill("SIGSTOP");
  }

  thaw(): void {
    if (!this.#frozen) return;
    this.#frozen = false;
    this.note("goes on");
    this.process.child.kill("SIGCONT");
  }

  /** There is no room any more for its records. */
  fillDisk(): void {
    if (typeof this.#disk === "string") throw new Error("its records are not on a disk of their own");
    this.note("has no room for its records");
    this.#disk.fill();
  }

  freeDisk(): void {
    if (typeof this.#disk !== "string") this.#disk.free();
  }

  async end(): Promise<void> {
    this.thaw();
    await this.process.end();
    if (typeof this.#disk !== "string") this.#disk.remove();
  }

  async seen(): Promise<Seen> {
    if (this.process.hasEnded) return { kind: "ended", killed: this.killed };
    if (this.#frozen) return { kind: "silent" };
    try {
      const { status, owner, migration } = await this.#withinTime(
        this.process.execute<Info>("x-peregrine-info"),
      );
      const last =
        status === "inmigrate"
          ? await this.#withinTime(this.process.execute<MigrationInfo>("query-migrate"))
          : migration;
      this.#noteError(last["error-desc"]);
      return { kind: "alive", status, owner, migration: last.status };
    } catch {
      return this.process.hasEnded ? { kind: "ended", killed: this.killed } : { kind: "silent" };
    }
  }

  /** Resolves when it has printed a whole line more. Errors: when it has not within `ms`. */
  async printsOn(ms: number): Promise<void> {
    const lines = this.#lines;
    const deadline = Date.now() + ms;
    while (this.#lines <= lines) {
      const left = deadline - Date.now();
      if (left <= 0 || this.process.hasEnded) throw new Error(`the guest at ${this.name} prints nothing`);
      await Promise.race([this.process.stdout.change(), delay(left), this.process.ended]);
    }
  }

  get #lines(): number {
    return this.output.split("\n").length;
  }

  /** Once. */
  #noteError(text: string | undefined): void {
    if (text !== undefined && text !== this.#error) this.note(text);
    this.#error = text;
  }

  async #withinTime<T>(answer: Promise<T>): Promise<T> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(reject, ANSWER_MS, new Error("it does not answer"));
    try {
      return await Promise.race([answer, promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #watchEnd(): Promise<void> {
    const { status, signal } = await this.process.ended;
    this.#ranUntil(Date.now());
    this.note(signal === null ? `ended with status ${status}` : `ended by ${signal}`);
  }

  /**
   * On a busy machine an event is heard some 100 ms late, and a process that was not let run when it set its clock has
   * one that is wrong. Of the two times that is taken which leaves less of an overlap.
   */
  #onEvent(event: string, data: Readonly<Record<string, unknown>> | undefined, said: number): void {
    if (event === "RESUME") this.#ranFrom(Math.max(Date.now(), said));
    if (event === "STOP" || event === "SHUTDOWN") this.#ranUntil(Math.min(Date.now(), said));
    const noted = ["RESUME", "STOP", "SHUTDOWN", "MIGRATION", "MIGRATION_PASS"].includes(event);
    if (noted) this.note(`${event}${data === undefined ? "" : ` ${JSON.stringify(data)}`}`);
  }

  #ranFrom(at: number): void {
    if (this.runTimes.at(-1)?.to === undefined && this.runTimes.length > 0) return;
    this.runTimes.push({ agent: this.name, from: at, to: undefined });
  }

  #ranUntil(at: number): void {
    const last = this.runTimes.at(-1);
    if (last !== undefined) last.to ??= at;
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
