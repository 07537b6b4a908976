import { cp, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Host } from "../src/agent-process.ts";
import { delay, WatchedAgent } from "./agents.ts";
import { checkDrive, checkLog, checkOutput, checkRunTimes } from "./checks.ts";
import type { Diary } from "./diary.ts";
import { clientOptions, serverOptions } from "./credentials.ts";
import type { Target } from "./link.ts";
import { DRIVE_BYTES, sentOf } from "./plan.ts";
import type { GuestKind, Plan, Transport } from "./plan.ts";
import { SmallDisk } from "./small-disk.ts";

const PROGRAM = fileURLToPath(new URL("guest/counted.wasm", import.meta.url));

/** Of memory. A pass takes some time where the link has a limit, and all that is dirtied meanwhile can be sent. */
const PAGES = 96;
const DIRTIED = 1;
const PAUSE_US = 4000;

/** Room for what an agent records. */
const STATE_BYTES = 64 * 1024;

/** A map of its clusters, and a line that says what it is. */
const EMPTY_OVERLAY_BYTES = 8192;

/** What a guest has done and not shown may be more when its agent was killed with it. */
const AHEAD_WHEN_KILLED = 100_000;

/** Time for output to come through the pipe of an agent whose guest stands still. Milliseconds. */
const OUTPUT_MS = 2000;

export interface Receiver {
  readonly agent: WatchedAgent;
  readonly uri: string;
  readonly target: Target;
  readonly image: string | undefined;
}

/** A guest that counts, and everything that it leaves traces in, for as long as it lives. */
export class LivingGuest {
  readonly kind: GuestKind;
  readonly directory: string;
  /** The agents that have had it, in this order. */
  readonly #stays: WatchedAgent[] = [];
  readonly #host: Host;
  /** Directory of the agents' credentials. */
  readonly #pki: string;
  #images = 0;
  #states = 0;
  #image: string | undefined;
  #damaged = false;
  /** File systems of their own, for drives that are not to have enough room. */
  readonly #disks: SmallDisk[] = [];

  /** @param pki directory of the agents' credentials. */
  static async start(
    { host, pki }: { readonly host: Host; readonly pki: string },
    kind: GuestKind,
    number: number,
    diary: Diary,
  ): Promise<LivingGuest> {
    const guest = new LivingGuest(host, pki, kind, join(host.directory, `guest-${number}`));
    await mkdir(join(guest.directory, "data"), { recursive: true });
    try {
      await guest.#start(diary);
    } catch (error) {
      await guest.end();
      throw error;
    }
    return guest;
  }

  private constructor(host: Host, pki: string, kind: GuestKind, directory: string) {
    this.#host = host;
    this.#pki = pki;
    this.kind = kind;
    this.directory = directory;
  }

  /** Where it is, as far as is known. */
  get home(): WatchedAgent {
    return this.#stays.at(-1)!;
  }

  get #hasDrive(): boolean {
    return this.kind === "drive" || this.kind === "overlay" || this.kind === "shared-drive";
  }

  async #start(diary: Diary): Promise<void> {
    const args = ["--pages", String(PAGES), "--dirty", String(DIRTIED), "--pause", String(PAUSE_US)];
    if (this.kind === "log") args.push("--log", "1");
    if (this.#hasDrive) args.push("--drive", "1");
    this.#image = this.#hasDrive ? await this.#makeImage(this.directory) : undefined;
    const disk = this.#stateDisk();
    const options = [...this.#options(this.#image), ...stateOptions(disk)];
    const process = await this.#host.run(PROGRAM, options, args);
    const agent = await WatchedAgent.watch(process, disk, diary);
    await agent.printsOn(OUTPUT_MS);
    this.#stays.push(agent);
  }

  /** Starts an agent that waits for it. @param room bytes that there are for its drive. */
  async receiver(
    { capability, transport }: Pick<Plan, "capability" | "transport">,
    diary: Diary,
    room?: number,
  ): Promise<Receiver> {
    const directory =
      room === undefined ? this.directory : this.#smallDisk(`disk-${this.#images}`, this.#more(room)).path;
    const image = sentOf(this.kind) !== undefined ? await this.#makeImage(directory) : this.#image;
    const options = this.#options(image);
    if (capability === "multifd") options.push("--parallel", "2");
    return this.#receive(transport, options, image, diary);
  }

  /** Starts an agent that waits for a copy of it, with files of its own. */
  async copyReceiver({ transport }: Pick<Plan, "transport">, diary: Diary): Promise<Receiver> {
    const directory = join(this.directory, `copy-${this.#images}`);
    await cp(join(this.directory, "data"), join(directory, "data"), { recursive: true });
    const image = this.#hasDrive ? await this.#makeImage(directory) : undefined;
    return this.#receive(transport, this.#options(image, directory), image, diary);
  }

  async #receive(
    transport: Transport,
    options: readonly string[],
    image: string | undefined,
    diary: Diary,
  ): Promise<Receiver> {
    const disk = this.#stateDisk();
    const tls = transport === "tls" ? serverOptions(this.#pki) : [];
    const { agent: process, uri } = await this.#host.receive(transport === "tls" ? "tcp" : transport, [
      ...options,
      ...tls,
      ...stateOptions(disk),
    ]);
    return { agent: await WatchedAgent.watch(process, disk, diary), uri, target: targetOf(uri), image };
  }

  /** It has moved to that agent. */
  arrived({ agent, image }: Receiver): void {
    this.#stays.push(agent);
    this.#image = image;
  }

  /** The same, with a byte that was changed on the way: what it does there says nothing. */
  arrivedDamaged(receiver: Receiver): void {
    this.arrived(receiver);
    this.#damaged = true;
  }

  /**
   * What is wrong with what it has left up to now. It is stopped for that if its files have to stand still, unless it
   * is not alive any more.
   */
  async check(alive: boolean): Promise<string[]> {
    if (!alive) return this.#wrong(AHEAD_WHEN_KILLED);
    const standsStill = this.kind !== "plain";
    if (standsStill) await this.home.process.execute("stop");
    const deadline = Date.now() + OUTPUT_MS;
    let wrong = await this.#wrong(1);
    // What it wrote last may be on its way.
    while (wrong.length > 0 && Date.now() < deadline) {
      await delay(50);
      wrong = await this.#wrong(1);
    }
    if (standsStill) await this.home.process.execute("cont");
    return wrong;
  }

  async #wrong(ahead: number): Promise<string[]> {
    const times = checkRunTimes(this.#stays.flatMap((agent) => agent.times));
    const sound = this.#damaged ? this.#stays.slice(0, -1) : this.#stays;
    const pieces = sound.map(({ name, output }) => ({ agent: name, text: output }));
    const { last, wrong } = checkOutput(pieces);
    if (this.#damaged) return [...times, ...wrong];
    const files =
      this.kind === "log"
        ? checkLog(await readFile(join(this.directory, "data", "log"), "latin1"), last, ahead)
        : this.#hasDrive
          ? checkDrive((await readFile(this.#image!)).subarray(0, DRIVE_BYTES), last, ahead)
          : [];
    return [...times, ...wrong, ...files];
  }

  /**
   * Starts it once more where an agent was killed, as a supervisor would. @returns what is said instead of doing so.
   * Errors: it is started.
   */
  async restart(killed: WatchedAgent): Promise<string> {
    const options = [...this.#options(this.#image), "--state", killed.state];
    const process = this.#host.start(["run", PROGRAM, "--name", killed.name, ...options], killed.name);
    while (!process.hasEnded && process.stdout.text === "")
      await Promise.race([process.ended, process.stdout.change()]);
    if (process.stdout.text !== "" || (await process.ended).status === 0) {
      await process.end();
      throw new Error(`the guest was started once more at ${killed.name}: ${process.stderr.text}`);
    }
    return process.stderr.text;
  }

  /** Ends every agent that has had it. */
  async end(): Promise<void> {
    await Promise.all(this.#stays.map((agent) => agent.end()));
    for (const disk of this.#disks) disk.remove();
    await rm(this.directory, { recursive: true, force: true });
  }

  #options(image: string | undefined, directory = this.directory): string[] {
    const options = ["--dir", `${join(directory, "data")}::/data`, ...clientOptions(this.#pki)];
    if (image !== undefined) {
      const backing = this.kind === "overlay" ? `,backing=${this.#backing}` : "";
      options.push("--drive", `id=db,file=${image}${backing}`);
    }
    return options;
  }

  /** Of zeros, as what an overlay does not hold reads where it lies. */
  get #backing(): string {
    return join(this.directory, "backing.img");
  }

  async #makeImage(directory: string): Promise<string> {
    const path = join(directory, `${this.#images++}.img`);
    // The agent makes the overlay itself.
    await makeFile(this.kind === "overlay" ? this.#backing : path);
    return path;
  }

  /** An agent does not begin to wait without room for an empty overlay. */
  #more(room: number): number {
    return this.kind === "overlay" ? room + EMPTY_OVERLAY_BYTES : room;
  }

  #smallDisk(name: string, room: number): SmallDisk {
    const disk = new SmallDisk(join(this.directory, name), room);
    this.#disks.push(disk);
    return disk;
  }

  /** A place for an agent's records. */
  #stateDisk(): SmallDisk | string {
    const name = `state-${this.#states++}`;
    return SmallDisk.possible ? this.#smallDisk(name, STATE_BYTES) : join(this.directory, name);
  }
}

/** A file of zeros; one that is there stays as it is. */
async function makeFile(path: string): Promise<void> {
  await using file = await open(path, "a");
  await file.truncate(DRIVE_BYTES);
}

function stateOptions(disk: SmallDisk | string): string[] {
  return ["--state", typeof disk === "string" ? disk : disk.path];
}

function targetOf(uri: string): Target {
  if (uri.startsWith("unix:")) return { path: uri.slice("unix:".length) };
  const { host, port } = /^(?:tcp:|ws:\/\/)(?<host>[^:]+):(?<port>\d+)/u.exec(uri)!.groups!;
  return { host: host!, port: Number(port) };
}
