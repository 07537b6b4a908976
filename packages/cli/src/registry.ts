import { MigrationError } from "@peregrine/protocol";
import { readdir, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { checkGuestName } from "./guest-name.ts";
import { tryLock } from "./name-lock.ts";
import type { NameLock } from "./name-lock.ts";

const SUFFIX = ".sock";
const RECORD_SUFFIX = ".completed.json";

/** A lock whose holder does not answer is an agent that starts, or a dead name being cleaned up: both pass. */
const HOLDER_WAIT_MS = 2000;
const HOLDER_POLL_MS = 20;

/** Names that are tried when a name is made up. */
const MOST_NUMBERS = 1000;

/** The right to a name, from before its socket exists until after it is gone. */
export interface NameClaim {
  readonly name: string;
  /** Where the agent of this name has to listen. */
  readonly socket: string;
  /** Where it leaves what is known of its last migration. */
  readonly record: string;
  release(): Promise<void>;
}

/** The running agents of a user, by the sockets in the runtime directory. */
export class Registry {
  readonly #directory: string;

  /** @param directory that exists and belongs to the user. */
  constructor(directory: string) {
    this.#directory = directory;
  }

  socketOf(name: string): string {
    return join(this.#directory, name + SUFFIX);
  }

  /** What the last agent of this name has left behind, if its guest has been migrated. */
  recordOf(name: string): string {
    return join(this.#directory, name + RECORD_SUFFIX);
  }

  /** Takes exactly this name. Errors: BAD_PARAMETER, NAME_IN_USE. */
  async claim(name: string): Promise<NameClaim> {
    checkGuestName(name);
    const deadline = performance.now() + HOLDER_WAIT_MS;
    for (;;) {
      const claim = await this.#tryClaim(name);
      if (claim !== undefined) return claim;
      if ((await answers(this.socketOf(name))) || performance.now() >= deadline) {
        throw new MigrationError(
          "NAME_IN_USE",
          `A guest with the name '${name}' runs already; take another --name`,
        );
      }
      await delay(HOLDER_POLL_MS);
    }
  }

  /** Takes `stem`, or `stem-2`, `stem-3` and so on, whichever is free. Errors: NAME_IN_USE. */
  async claimFree(stem: string): Promise<NameClaim> {
    for (let number = 1; number <= MOST_NUMBERS; number++) {
      const claim = await this.#tryClaim(checkGuestName(number === 1 ? stem : `${stem}-${number}`));
      if (claim !== undefined) return claim;
    }
    throw new MigrationError(
      "NAME_IN_USE",
      `${MOST_NUMBERS} guests have the name '${stem}'; choose one with --name`,
    );
  }

  /** The names that have a socket, in order. Those that nobody listens on any more are cleaned up. */
  async names(): Promise<string[]> {
    const names = await this.sockets();
    const alive = await Promise.all(names.map((name) => this.#isAlive(name)));
    return names.filter((_, index) => alive[index]);
  }

  /** The names that have a socket, whether or not somebody listens on it. */
  async sockets(): Promise<string[]> {
    const files = await readdir(this.#directory);
    return files
      .filter((file) => file.endsWith(SUFFIX))
      .map((file) => file.slice(0, -SUFFIX.length))
      .sort();
  }

  async #isAlive(name: string): Promise<boolean> {
    if (await answers(this.socketOf(name))) return true;
    const lock = await tryLock(this.#directory, name);
    if (lock !== undefined) await this.#removeDead(name, lock);
    return false;
  }

  /** With the lock held nobody else makes or removes the socket. */
  async #tryClaim(name: string): Promise<NameClaim | undefined> {
    const socket = this.socketOf(name);
    const lock = await tryLock(this.#directory, name);
    if (lock === undefined) return undefined;
    // An agent in another network namespace has its own lock.
    if (await answers(socket)) {
      await lock.release();
      return undefined;
    }
    await rm(socket, { force: true });
    return { name, socket, record: this.recordOf(name), release: () => this.#removeDead(name, lock) };
  }

  async #removeDead(name: string, lock: NameLock): Promise<void> {
    const socket = this.socketOf(name);
    if (!(await answers(socket))) await rm(socket, { force: true });
    await lock.release();
  }
}

/** Whether a process listens on a Unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path });
    probe.once("connect", () => {
      probe.destroy();
      resolve(true);
    });
    probe.once("error", () => resolve(false));
  });
}
