import { MigrationError } from "@peregrine/protocol";
import type { Address } from "./address.ts";
import { describeAddress } from "./address.ts";
import type { Channel, Listener } from "./channel.ts";

/** Hands out the one channel that is there, for what nobody has to connect to. */
export class SingleListener implements Listener {
  readonly address: Address;
  #channel: Channel | undefined;
  #closed = false;
  readonly #closing = Promise.withResolvers<never>();

  constructor(address: Address, channel: Channel) {
    this.address = address;
    this.#channel = channel;
    this.#closing.promise.catch(() => {});
  }

  accept(): Promise<Channel> {
    const channel = this.#channel;
    if (channel === undefined) return this.#closing.promise;
    this.#channel = undefined;
    return Promise.resolve(channel);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#closing.reject(
      new MigrationError("LISTEN_FAILED", `No longer listening on '${describeAddress(this.address)}'`),
    );
    const channel = this.#channel;
    this.#channel = undefined;
    channel?.destroy();
    await channel?.closed;
  }
}
