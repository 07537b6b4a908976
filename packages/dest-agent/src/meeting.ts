import type { MigrationError } from "@peregrine/protocol";

/**
 * The point that the main stream and all multifd channels have to come to before any of them goes on: a page that is
 * sent again behind it may come on another channel.
 */
export class Meeting {
  readonly #channels: number;
  readonly #arrived: (() => void)[] = [];
  #waiting: PromiseWithResolvers<void> | undefined;
  #left: MigrationError | undefined;

  constructor(channels: number) {
    this.#channels = channels;
  }

  /** A channel is here. The promise ends when it may go on. */
  arrive(): Promise<void> {
    return new Promise((resolve) => {
      this.#arrived.push(resolve);
      if (this.#arrived.length === this.#channels) this.#waiting?.resolve();
    });
  }

  /** A channel will not come any more. @param error what everyone who wants to meet fails with. */
  leave(error: MigrationError): void {
    this.#left ??= error;
    this.#waiting?.reject(error);
  }

  /** The main stream is here. The promise ends when all channels have come, and lets them go on. */
  async meet(): Promise<void> {
    if (this.#left !== undefined) throw this.#left;
    if (this.#arrived.length < this.#channels) {
      this.#waiting = Promise.withResolvers();
      await this.#waiting.promise;
    }
    for (const goOn of this.#arrived.splice(0)) goOn();
  }
}
