import type {
  IncomingMigration,
  IncomingResult,
  PassesOn,
  SourceExpectation,
  SourceOffer,
} from "@peregrine/dest-agent";
import type { ImageMachine } from "@peregrine/machine-image";
import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import { PAGE_SIZE, PASSER_LOADING, stepPasser } from "@peregrine/shared-state";
import type { Passer, PasserEffect, PasserEvent } from "@peregrine/shared-state";
import type { PassedOn } from "@peregrine/source-agent";
import type { Agent } from "./agent.ts";

/** Pages that may have arrived and not been sent on, as long as nothing is known of the way onwards. */
const LEAST_BACKLOG_PAGES = 1024;
const TUNING_PERIOD_MS = 100;

/**
 * Sends a virtual machine on while it arrives. The source keeps it until the destination has it.
 *
 * Where both take part in a hand-over, the relay passes on what one says to the other, and never has the guest
 * (docs/handover.md). Otherwise the source gets its answer after ours has come.
 *
 * What has arrived and was not sent on has to be sent while the guest stands still, so no more of it is let in
 * than can be sent within the tolerated downtime. That makes the source see the speed of the whole way, and
 * stop the guest when the destination is nearly up to date.
 */
export class Relay implements PassedOn, PassesOn {
  readonly #machine: ImageMachine;
  readonly #to: string;
  readonly #say: (text: string) => void;
  readonly #sent = Promise.withResolvers<void>();
  readonly #offer = Promise.withResolvers<MigrationId | undefined>();
  /** Settled when the source may be asked, or cannot be any more. */
  readonly #mayAsk = Promise.withResolvers<void>();
  readonly #decision = Promise.withResolvers<"give" | "keep" | "lost">();
  readonly #taken = Promise.withResolvers<MigrationError | undefined>();
  #agent: Agent | undefined;
  #incoming: IncomingMigration | undefined;
  #tuning: NodeJS.Timeout | undefined;
  /** Whether the source waits to be told that the guest has arrived. */
  #answersSource = false;
  #asked = false;
  /** Whether there is a hand-over. Without one nothing is passed on. */
  #handsOver = false;
  #passer: Passer = PASSER_LOADING;
  /** Why the hand-over has come to nothing. */
  #failure = new MigrationError("CANCELLED", "The migration was cancelled");

  /** @param to URI of the destination. @param say prints one line for the user. */
  constructor(machine: ImageMachine, to: string, say: (text: string) => void) {
    this.#machine = machine;
    this.#to = to;
    this.#say = say;
    for (const { promise } of [this.#sent, this.#mayAsk, this.#taken]) promise.catch(() => undefined);
  }

  /** Both directions are there, and nothing has arrived. */
  connect(agent: Agent, incoming: IncomingMigration): void {
    this.#agent = agent;
    this.#incoming = incoming;
    // How the guest arrives is told to it by other ways.
    agent.outgoing.subscribe((event) => {
      if (event.kind === "migration") this.#onStatus(event.status);
    });
    void this.#watchSource(incoming.done);
  }

  /** The first part of the guest is there: sending begins. */
  opened({ returnPath, asksHandOver }: SourceExpectation): void {
    this.#answersSource = returnPath;
    this.#asked = asksHandOver;
    this.#machine.setBacklogLimit(LEAST_BACKLOG_PAGES);
    this.#tuning = setInterval(() => this.#tune(), TUNING_PERIOD_MS);
    try {
      this.#agent?.migrate(this.#to);
    } catch (error) {
      this.#failed(MigrationError.from(error));
    }
  }

  /** The source has a hand-over where the destination has one, and is told so when that has said it. */
  agreed(handOver: boolean): void {
    if (!this.#asked) return;
    this.#handsOver = handOver;
    this.#incoming?.agree(handOver);
  }

  get asked(): boolean {
    return this.#asked;
  }

  offered(): Promise<MigrationId | undefined> {
    return this.#offer.promise;
  }

  /**
   * All of the guest is there. In a hand-over: resolves when the destination has loaded it, so that the source can be
   * asked. Otherwise: when the destination has it, or when nobody can be told that it does not.
   * Errors: why it does not; the source goes on with its guest then.
   */
  async accept({ returnPath, migration }: SourceOffer): Promise<void> {
    this.#offer.resolve(migration);
    if (migration !== undefined) {
      await this.#mayAsk.promise;
      return;
    }
    this.#handsOver = false;
    try {
      await this.#sent.promise;
    } catch (error) {
      if (returnPath) throw error;
      this.#say("The source has given the guest up, so it is held here: send it on with peregrine migrate");
    }
  }

  loaded(): Promise<"give" | "keep" | "lost"> {
    this.#hear("loaded");
    return this.#decision.promise;
  }

  given(): Promise<MigrationError | undefined> {
    this.#hear("give");
    return this.#taken.promise;
  }

  lost(reason: MigrationError): MigrationError {
    if (this.#passer.kind === "asked") {
      const text =
        `The source did not say whether it gives the guest away: ${reason.message}. The destination '${this.#to}' holds it, ` +
        "stopped. Look at both with peregrine info, and then tell them with peregrine resolve";
      this.#failure = new MigrationError("UNDECIDED", text, { cause: reason });
      this.#hear("source-lost");
    }
    return this.#failure;
  }

  async #watchSource(done: Promise<IncomingResult>): Promise<void> {
    const result = await done;
    if (result.kind !== "failed") return;
    // It says that it keeps the guest, or why nothing more is heard of it.
    this.#hear(result.error.code === "CANCELLED" ? "keep" : "source-lost");
  }

  #onStatus(status: string): void {
    const error = this.#agent?.outgoing.error;
    switch (status) {
      case "completed":
        this.#stopTuning();
        this.#sent.resolve();
        this.#hear("taken");
        return;
      case "failed":
        this.#failed(error ?? this.#failure, this.#agent?.outgoing.undecided === true);
        return;
      case "cancelled":
        this.#failed(new MigrationError("CANCELLED", "The migration was cancelled"));
        return;
      default:
    }
  }

  /** @param unknown the destination was given the guest, and nobody knows whether it has it. */
  #failed(error: MigrationError, unknown = false): void {
    this.#stopTuning();
    this.#sent.reject(error);
    if (this.#handsOver) {
      this.#failure = unknown ? destinationLost(this.#to, error) : error;
      this.#hear(unknown ? "destination-lost" : "refused");
      return;
    }
    // A source that does not wait for an answer may have given its guest up already: take all of it.
    if (this.#answersSource) void this.#incoming?.close(error);
  }

  #hear(event: PasserEvent): void {
    if (!this.#handsOver) return;
    const [passer, effects] = stepPasser(this.#passer, event);
    this.#passer = passer;
    for (const effect of effects) this.#perform(effect);
  }

  #perform(effect: PasserEffect): void {
    switch (effect) {
      case "pass-loaded":
        this.#mayAsk.resolve();
        return;
      case "pass-give":
        this.#decision.resolve("give");
        return;
      case "pass-keep":
        this.#decision.resolve("keep");
        // It may not have been asked for the decision yet.
        this.#agent?.outgoing.cancel();
        return;
      case "drop-destination":
        this.#decision.resolve("lost");
        return;
      case "pass-taken":
        this.#taken.resolve(undefined);
        return;
      case "pass-refused":
        this.#mayAsk.reject(this.#failure);
        this.#taken.reject(this.#failure);
        // Too late where the source has given the guest already: it is told by the line before.
        void this.#incoming?.close(this.#failure);
        return;
      case "drop-source":
        this.#taken.resolve(this.#failure);
        return;
    }
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

function destinationLost(to: string, reason: MigrationError): MigrationError {
  const text =
    `The source has given the guest away, and the destination '${to}' has not said whether it has it. Look at both with ` +
    "peregrine info, and then tell them with peregrine resolve";
  return new MigrationError("UNDECIDED", text, { cause: reason });
}
