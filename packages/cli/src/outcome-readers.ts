import type { CommandClient } from "@peregrine/monitor";
import { setTimeout as delay } from "node:timers/promises";

/** How long an agent whose guest has moved away stays at most for its clients to learn how it went. Milliseconds. */
const PATIENCE_MS = 5000;

/** Who has asked in this time follows the migration, and asks again. Milliseconds. */
const FOLLOWED_MS = 10_000;

/** One who follows the migration. */
interface Reader {
  /** When it asked last. */
  askedAt: number;
  /** It knows how the migration ended, or is not there any more. */
  readonly done: PromiseWithResolvers<void>;
}

/** Those who ask how a migration goes: the agent does not take their connection away before they know how it ended. */
export class OutcomeReaders {
  readonly #patience: number;
  readonly #readers = new Map<CommandClient, Reader>();
  #asked = Promise.withResolvers<void>();

  /** @param patience milliseconds that are waited at most. */
  constructor(patience = PATIENCE_MS) {
    this.#patience = patience;
  }

  /** A migration begins. @param client who has started it, and will ask; if nobody has, this process tells by itself how it ends. */
  begin(client?: CommandClient): void {
    this.#asked = Promise.withResolvers();
    this.#readers.clear();
    if (client === undefined) this.#asked.resolve();
    else this.#follows(client, false);
  }

  /** A client is told. @param isOver whether the migration is over. */
  asked(client: CommandClient, isOver: boolean): void {
    this.#follows(client, isOver);
    if (isOver) this.#asked.resolve();
  }

  /** The same of a dashboard: with it alone nobody has asked. */
  observed(client: CommandClient, isOver: boolean): void {
    this.#follows(client, isOver);
  }

  /** The guest has moved: resolves when somebody has asked, and whoever follows it has seen it. */
  async known(): Promise<void> {
    const since = performance.now() - FOLLOWED_MS;
    const following = [...this.#readers.values()].filter(({ askedAt }) => askedAt >= since);
    const read = Promise.all([this.#asked.promise, ...following.map(({ done }) => done.promise)]);
    await Promise.race([read, delay(this.#patience)]);
  }

  #follows(client: CommandClient, isOver: boolean): void {
    const reader = this.#readers.get(client) ?? this.#add(client);
    reader.askedAt = performance.now();
    if (isOver) reader.done.resolve();
  }

  #add(client: CommandClient): Reader {
    const reader: Reader = { askedAt: 0, done: Promise.withResolvers() };
    this.#readers.set(client, reader);
    if (client.closed !== undefined) void this.#forget(client, client.closed, reader);
    return reader;
  }

  /** Once it is gone. */
  async #forget(client: CommandClient, closed: Promise<void>, reader: Reader): Promise<void> {
    await closed;
    reader.done.resolve();
    if (this.#readers.get(client) === reader) this.#readers.delete(client);
  }
}
