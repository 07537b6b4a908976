import { MigrationError } from "@peregrine/protocol";
import { setTimeout as delay } from "node:timers/promises";
import type { MonitorLimits } from "../limits.ts";
import type { MonitorAccess } from "./monitor-access.ts";

export interface LoginOptions {
  readonly access: MonitorAccess;
  readonly limits: Pick<MonitorLimits, "loginTries" | "loginDelay" | "loginTimeout">;
  /** Whether one more client can be served. */
  readonly hasRoom: () => boolean;
  /** The client has shown already that it may be here. Default: whoever came by a unix socket or with a certificate has. */
  readonly known?: boolean;
}

/**
 * How far one client has got with showing that it may be here. Until it has, nothing that it sends is carried out. It
 * has a few tries and a limited time for them.
 */
export class Login {
  readonly #options: LoginOptions;
  #tries = 0;
  #known: boolean;
  #overdue: NodeJS.Timeout | undefined;

  constructor(options: LoginOptions) {
    this.#options = options;
    this.#known = options.known === true || options.access.kind !== "token";
  }

  /** Whether the client may give commands. */
  get isKnown(): boolean {
    return this.#known;
  }

  /** Whether the client has used all of its tries, and is to be dropped. */
  get isOver(): boolean {
    return !this.#known && this.#tries >= this.#options.limits.loginTries;
  }

  /** Whether the client is on the host of the agent, as its user. */
  get isOwner(): boolean {
    return this.#options.access.kind === "owner";
  }

  /** Calls `drop` when the client takes too long, unless {@link end} is called before that. */
  begin(drop: () => void): void {
    if (!this.#known) this.#overdue = setTimeout(drop, this.#options.limits.loginTimeout);
  }

  end(): void {
    clearTimeout(this.#overdue);
  }

  /**
   * One try. Whoever gives no token is told at once what is missing; a wrong one is answered after a while. When the
   * tries are used up, also by some that are not answered yet, no token is compared any more.
   * Errors: ACCESS_DENIED.
   */
  async attempt(token: string | undefined, howTo: string): Promise<void> {
    const { access, limits, hasRoom } = this.#options;
    if (this.#known || access.kind !== "token") return;
    if (this.isOver) throw denied("There were too many tries");
    this.#tries++;
    if (token === undefined) throw denied(`This monitor needs a token: ${howTo}`);
    if (!access.token.matches(token)) {
      await delay(limits.loginDelay);
      throw denied("The token is wrong");
    }
    if (!hasRoom()) {
      this.#tries = limits.loginTries;
      throw denied("The monitor has as many clients as it may have");
    }
    this.#known = true;
    this.end();
  }
}

function denied(message: string): MigrationError {
  return new MigrationError("ACCESS_DENIED", message);
}
