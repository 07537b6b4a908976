import { DEFAULT_LIMITS, MigrationError, ReturnPathDecoder } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import { connect, formatUri } from "@peregrine/transport";
import type { Address, Channel } from "@peregrine/transport";

/** A source reduced to its socket: writes what a test gives it and keeps what comes back. */
export class Sender {
  readonly channel: Channel;
  readonly messages: ReturnMessage[] = [];
  /** Resolves when the return path has ended, with the error if it broke. */
  readonly ended: Promise<MigrationError | undefined>;
  readonly #waiters: { readonly count: number; readonly resolve: () => void }[] = [];

  private constructor(channel: Channel) {
    this.channel = channel;
    this.ended = this.#listen();
  }

  static async connect(address: Address): Promise<Sender> {
    return new Sender(await connect(formatUri(address)));
  }

  /** Resolves when so many messages have come in all. */
  received(count: number): Promise<void> {
    if (this.messages.length >= count) return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiters.push({ count, resolve });
    });
  }

  /** Writes a whole stream and closes its end when the destination has answered with SHUT. */
  async send(stream: Uint8Array): Promise<void> {
    await this.channel.write(stream);
    await this.shut();
    await this.channel.end();
  }

  /** Writes a whole stream in pieces of the sizes that `sizes` gives. */
  async write(stream: Uint8Array, sizes: () => number): Promise<void> {
    for (let at = 0; at < stream.length;) {
      const end = at + sizes();
      await this.channel.write(stream.subarray(at, end));
      at = end;
    }
  }

  /** Resolves when the destination has sent its last message. Rejects when it ends without one. */
  async shut(): Promise<void> {
    const ended = this.ended.then(() => true);
    while (this.messages.at(-1)?.kind !== "shut") {
      const next = this.received(this.messages.length + 1).then(() => false);
      if ((await Promise.race([next, ended])) && this.messages.at(-1)?.kind !== "shut") {
        throw new Error("the destination has ended the connection without a word");
      }
    }
  }

  async #listen(): Promise<MigrationError | undefined> {
    const decoder = new ReturnPathDecoder({
      limits: DEFAULT_LIMITS,
      message: (message) => {
        this.messages.push(message);
        for (const waiter of this.#waiters.splice(0)) {
          if (this.messages.length >= waiter.count) waiter.resolve();
          else this.#waiters.push(waiter);
        }
      },
    });
    try {
      for await (const chunk of this.channel.read()) decoder.push(chunk);
      decoder.end();
      return undefined;
    } catch (error) {
      return MigrationError.from(error);
    }
  }
}
