import { MigrationError } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";
import { brokenOff } from "./broken-off.ts";

export interface SilentPeerOptions {
  readonly channel: Channel;
  /** The destination has closed or broken the channel too early. Called at most once. */
  readonly failed: (error: MigrationError) => void;
}

/** Watches a destination that is not to answer: it can only end the channel. */
export class SilentPeer {
  /** Nobody says when it is ready to take over. */
  readonly prepared = true;
  /** Nor what has become of the guest. */
  readonly lacksGuest = false;
  readonly #options: SilentPeerOptions;
  #streamComplete = false;

  constructor(options: SilentPeerOptions) {
    this.#options = options;
  }

  /** From now on the destination may close: it has everything, or fails unheard. */
  streamComplete(): void {
    this.#streamComplete = true;
  }

  /** Drops whatever comes, to the end. Never rejects: failures go to `failed`. */
  async run(): Promise<void> {
    const { channel, failed } = this.#options;
    try {
      for await (const _ of channel.read());
      if (this.#streamComplete) return;
      const message = `The destination '${channel.peer}' closed the connection during the migration; its own log may say why`;
      failed(new MigrationError("CHANNEL_FAILED", message));
    } catch (error) {
      failed(brokenOff(MigrationError.from(error), channel.peer));
    }
  }
}
