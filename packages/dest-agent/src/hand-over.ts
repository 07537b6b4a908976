import { MigrationError } from "@peregrine/protocol";
import type { Command, MigrationId } from "@peregrine/protocol";
import type { ReturnPath } from "./return-path.ts";

type HandOverCommand = Extract<Command, { readonly kind: "hand-over" }>;

/** What a source says about who has the guest: an offer in its stream, and behind the stream what it has decided. */
export class HandOver {
  /** Resolves with the source's decision. Never rejects. */
  readonly decided: Promise<"give" | "keep">;
  readonly #returnPath: Pick<ReturnPath, "extensions">;
  readonly #decide: (decision: "give" | "keep") => void;
  #heard: "give" | "keep" | undefined;
  #migration: MigrationId | undefined;
  #asked = false;

  constructor(returnPath: Pick<ReturnPath, "extensions">) {
    this.#returnPath = returnPath;
    const { promise, resolve } = Promise.withResolvers<"give" | "keep">();
    this.decided = promise;
    this.#decide = resolve;
  }

  /** What the source has decided, if it has by now. */
  get heard(): "give" | "keep" | undefined {
    return this.#heard;
  }

  /** What the source offers; undefined while it offers nothing: the guest is taken without asking then. */
  get migration(): MigrationId | undefined {
    return this.#migration;
  }

  /** Whether the source has been told that everything is loaded. */
  get isAsked(): boolean {
    return this.#asked;
  }

  /** The source is told that everything is loaded, and may give the guest from now on. */
  asked(): void {
    this.#asked = true;
  }

  /** Errors: BAD_STREAM_COMMAND for what was not agreed on, does not come in its turn, or is about another guest. */
  hear({ step, migration }: HandOverCommand): void {
    if (!this.#returnPath.extensions.handOver) throw outOfTurn(step, "was not agreed on");
    if (step === "offer") {
      if (this.#migration !== undefined) throw outOfTurn(step, "came twice");
      this.#migration = migration;
      return;
    }
    // One guest is offered on a connection, so a source that keeps one keeps this one, whatever name has come of it.
    if (this.#migration === undefined || (step === "give" && migration !== this.#migration))
      throw outOfTurn(step, "is about a guest that was not offered");
    if (step === "give" && !this.#asked) throw outOfTurn(step, "came before everything was loaded");
    this.#heard ??= step;
    this.#decide(step);
  }
}

function outOfTurn(step: string, why: string): MigrationError {
  return new MigrationError("BAD_STREAM_COMMAND", `Command HAND_OVER ${step.toUpperCase()} ${why}`);
}
