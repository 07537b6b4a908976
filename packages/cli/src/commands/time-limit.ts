import type { AgentClient } from "../agent-client.ts";
import type { TimeLimit } from "../command-options.ts";

const COMMANDS: Readonly<Record<TimeLimit["action"], string>> = {
  cancel: "migrate_cancel",
  force: "x-peregrine-switchover",
  throttle: "x-peregrine-converge",
};

const CONSEQUENCES: Readonly<Record<TimeLimit["action"], string>> = {
  cancel: "the migration is cancelled",
  force: "the guest is stopped for what is left",
  throttle: "the guest is slowed down",
};

/** Does something, once, about a migration that takes too long. */
export class TimeKeeper {
  readonly #limit: TimeLimit | undefined;
  readonly #now: () => number;
  readonly #start: number;
  #acted = false;

  /** The time begins now. `now` is a monotonic clock in milliseconds. */
  constructor(limit: TimeLimit | undefined, now: () => number = () => performance.now()) {
    this.#limit = limit;
    this.#now = now;
    this.#start = now();
  }

  /** To be called again and again. @returns what was done about it, in words, the time that it is done. */
  async look(client: Pick<AgentClient, "execute">): Promise<string | undefined> {
    const limit = this.#limit;
    if (limit === undefined || this.#acted || this.#now() - this.#start < limit.seconds * 1000)
      return undefined;
    this.#acted = true;
    await client.execute(COMMANDS[limit.action]);
    return `${limit.seconds} s are over: ${CONSEQUENCES[limit.action]}`;
  }
}
