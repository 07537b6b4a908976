import { MigrationError } from "@peregrine/protocol";
import type { MigrationId } from "@peregrine/protocol";
import type { OwnershipLedger, RecordedOwnership } from "./ownership-record.ts";

export interface RecordedSideOptions<State, Event, Effect extends string> {
  readonly ledger: OwnershipLedger;
  readonly migration: MigrationId;
  /** The other side, as its address was given or its channel names it. */
  readonly peer: string;
  readonly start: State;
  readonly step: (state: State, event: Event) => readonly [State, readonly Effect[]];
  /** The effects that write a record. All others are for whoever told of the event, when it finds the new state. */
  readonly records: Readonly<Partial<Record<Effect, RecordedOwnership>>>;
  /** Of the effects that write a record: what waits to hear whether it is on the disk. */
  readonly answered: NoInfer<Effect>;
  readonly answers: { readonly recorded: NoInfer<Event>; readonly notRecorded: NoInfer<Event> };
  /** A record could not be written. */
  readonly failed: (error: MigrationError, ownership: RecordedOwnership) => void;
}

/** One side's state machine with its records: they are written one after the other, in the order of the events. */
export class RecordedSide<State, Event, Effect extends string> {
  readonly #options: RecordedSideOptions<State, Event, Effect>;
  #state: State;
  /** The effects of the last event, and of those before it. */
  #done: Promise<void> = Promise.resolve();

  constructor(options: RecordedSideOptions<State, Event, Effect>) {
    this.#options = options;
    this.#state = options.start;
  }

  get state(): State {
    return this.#state;
  }

  /** Resolves when what follows from the event is recorded, as far as that is possible. Never rejects. */
  hear(event: Event): Promise<void> {
    return this.#inTurn(this.#step(event));
  }

  /** What nobody asked this side about. Resolves as {@link hear}. */
  become(state: State, effects: readonly Effect[]): Promise<void> {
    this.#state = state;
    return this.#inTurn(effects);
  }

  #inTurn(effects: readonly Effect[]): Promise<void> {
    this.#done = this.#done.then(() => this.#perform(effects));
    return this.#done;
  }

  #step(event: Event): readonly Effect[] {
    const [state, effects] = this.#options.step(this.#state, event);
    this.#state = state;
    return effects;
  }

  async #perform(effects: readonly Effect[]): Promise<void> {
    const { records, answered, answers } = this.#options;
    for (const effect of effects) {
      const ownership = records[effect];
      if (ownership === undefined) continue;
      const isRecorded = await this.#record(ownership);
      if (effect !== answered) continue;
      await this.#perform(this.#step(isRecorded ? answers.recorded : answers.notRecorded));
    }
  }

  /** @returns whether it is on the disk. */
  async #record(ownership: RecordedOwnership): Promise<boolean> {
    const { ledger, migration, peer, failed } = this.#options;
    try {
      await ledger.write({ ownership, migration, peer });
      return true;
    } catch (error) {
      failed(MigrationError.from(error, "STORE_FAILED"), ownership);
      return false;
    }
  }
}
