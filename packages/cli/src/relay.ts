import type { IncomingMigration } from "@peregrine/dest-agent";
import type { ImageMachine } from "@peregrine/machine-image";
import { MigrationError } from "@peregrine/protocol";
import { PAGE_SIZE } from "@peregrine/shared-state";
import type { Agent } from "./agent.ts";

/** Pages that may have arrived and not been sent on, as long as nothing is known of the way onwards. */
const LEAST_BACKLOG_PAGES = 1024;
const TUNING_PERIOD_MS = 100;

/**
 * Sends a virtual machine on while it arrives. The source keeps it until the destination has it: it gets its
 * answer only after ours has come.
 *
 * What has arrived and was not sent on has to be sent while the guest stands still, so no more of it is let in
 * than can be sent within the tolerated downtime. That makes the source see the speed of the whole way, and
 * stop the guest when the destination is nearly up to date.
 */
export class Relay {
  readonly #machine: ImageMachine;
  readonly #to: string;
  readonly #say: (text: string) => void;
  readonly #sent = Promise.withResolvers<void>();
  #agent: Agent | undefined;
  #incoming: IncomingMigration | undefined;
  #tuning: NodeJS.Timeout | undefined;
  /** Whether the source waits to be told that the guest has arrived. */
  #answersSource = false;

  /** @param to URI of the destination. @param say prints one line for the user. */
  constructor(machine: ImageMachine, to: string, say: (text: string) => void) {
    this.#machine = machine;
    this.#to = to;
    this.#say = say;
    this.#sent.promise.catch(() => undefined);
  }

  /** Both directions are there, and nothing has arrived. */
  connect(agent: Agent, incoming: IncomingMigration): void {
    this.#agent = agent;
    this.#incoming = incoming;
    agent.subscribe((event) => {
      if (event.name === "MIGRATION") this.#onStatus(event.data.status);
    });
  }

  /** The first part of the guest is there: sending begins. */
  opened({ returnPath }: { readonly returnPath: boolean }): void {
    this.#answersSource = returnPath;
    this.#machine.setBacklogLimit(LEAST_BACKLOG_PAGES);
    this.#tuning = setInterval(() => this.#tune(), TUNING_PERIOD_MS);
    try {
      this.#agent?.migrate(this.#to);
    } catch (error) {
      this.#failed(MigrationError.from(error));
    }
  }

  /**
   * All of the guest is there. Resolves when the destination has it, or when nobody can be told that it does
   * not. Errors: why it does not; the source goes on with its guest then.
   */
  async accept({ returnPath }: { readonly returnPath: boolean }): Promise<void> {
    try {
      await this.#sent.promise;
    } catch (error) {
      if (returnPath) throw error;
      this.#say("The source has given the guest up, so it is held here: send it on with peregrine migrate");
    }
  }

  #onStatus(status: string): void {
    switch (status) {
      case "completed":
        this.#stopTuning();
        this.#sent.resolve();
        return;
      case "failed":
      case "cancelled":
        this.#failed(
          this.#agent?.outgoing.error ?? new MigrationError("CANCELLED", "The migration was cancelled"),
        );
        return;
      default:
    }
  }

  #failed(error: MigrationError): void {
    this.#stopTuning();
    this.#sent.reject(error);
    // A source that does not wait for an answer may have given its guest up already: take all of it.
    if (this.#answersSource) void this.#incoming?.close(error);
  }

  #tune(): void {
    const threshold = this.#agent?.outgoing.statistics.threshold ?? 0;
    this.#machine.setBacklogLimit(Math.max(LEAST_BACKLOG_PAGES, Math.floor(threshold / PAGE_SIZE)));
  }

  #stopTuning(): void {
    clearInterval(this.#tuning);
    this.#machine.setBacklogLimit(0);
  }
}
