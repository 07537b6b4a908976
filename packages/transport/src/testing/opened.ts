import { MigrationError } from "@peregrine/protocol";
import { afterEach, beforeEach } from "vitest";
import type { Channel, ChannelOptions } from "../channel.ts";
import type { TransportFixture } from "./fixture.ts";

/** More than any kernel keeps for one connection. */
export const KERNEL_BUFFERS = 16 << 20;

/** A fixture for each test of the present block, and the channels opened with it. */
export class Opened {
  #fixture: TransportFixture | undefined;
  readonly #channels: Channel[] = [];

  constructor(factory: () => Promise<TransportFixture>) {
    beforeEach(async () => {
      this.#fixture = await factory();
    });
    afterEach(async () => {
      await this.closeAll();
      await this.fixture[Symbol.asyncDispose]();
    });
  }

  get fixture(): TransportFixture {
    if (this.#fixture === undefined) throw new Error("the fixture belongs to a test");
    return this.#fixture;
  }

  /** The writer, and how to come by the other end. */
  async ends(
    options: ChannelOptions = {},
  ): Promise<{ readonly writer: Channel; readonly reader: () => Promise<Channel> }> {
    const { writer, reader } = await this.fixture.open(options);
    this.keep(writer);
    return { writer, reader: async () => this.keep(await reader()) };
  }

  /** Both ends, of what has both at the same time. */
  async pair(options: ChannelOptions = {}): Promise<[writer: Channel, reader: Channel]> {
    const { writer, reader } = await this.ends(options);
    return [writer, await reader()];
  }

  keep(channel: Channel): Channel {
    this.#channels.push(channel);
    return channel;
  }

  async closeAll(): Promise<void> {
    for (const channel of this.#channels.splice(0)) {
      channel.destroy();
      await channel.closed;
    }
  }
}

/** The MigrationError that a promise rejects with. */
export async function failure(promise: Promise<unknown>): Promise<MigrationError> {
  const outcome: unknown = await promise.then(
    () => new Error("it did not fail"),
    (error: unknown) => error,
  );
  if (!MigrationError.is(outcome)) throw outcome;
  return outcome;
}

/** Waits until a counter has stopped. One that stops too early only makes the caller's bounds harder to miss. */
export async function untilStill(counter: () => number): Promise<void> {
  for (let last = -1; last !== counter();) {
    last = counter();
    await new Promise((resolve) => {
      setTimeout(resolve, 100);
    });
  }
}
