import { DEFAULT_LIMITS, MigrationError, ReturnPathDecoder } from "@peregrine/protocol";
import type { ReturnMessage } from "@peregrine/protocol";
import type { Channel } from "@peregrine/transport";
import { brokenOff } from "./broken-off.ts";

export const PING = {
  /** Opens the return path. */
  hello: 1,
  /** Answered when the destination has prepared everything from the early devices. */
  prepare: 2,
  /** Answered when the destination has loaded everything in front of it. One at a time. */
  catchUp: 3,
} as const;

export interface ReturnPathOptions {
  readonly channel: Channel;
  /** Whether the destination is to acknowledge that it can take over. */
  readonly acknowledges: boolean;
  /** The destination has failed, refused or broken the protocol. Called at most once. */
  readonly failed: (error: MigrationError) => void;
  /** {@link ReturnPathReader.prepared} may have changed. */
  readonly prepared: () => void;
}

/** Listens to what the destination says. */
export class ReturnPathReader {
  readonly #channel: Channel;
  readonly #options: ReturnPathOptions;
  readonly #confirmed = Promise.withResolvers<void>();
  #streamComplete = false;
  #loaded = false;
  #prepared = false;
  #acknowledged = false;
  #refusal: MigrationError | undefined;
  #caughtUp: (() => void) | undefined;

  constructor(options: ReturnPathOptions) {
    this.#channel = options.channel;
    this.#options = options;
  }

  /** Whether the destination is ready to take over as soon as it has the rest. */
  get prepared(): boolean {
    return this.#prepared && (this.#acknowledged || !this.#options.acknowledges);
  }

  /** Resolves when the destination has confirmed that everything is loaded. Never rejects. */
  get confirmed(): Promise<void> {
    return this.#confirmed.promise;
  }

  /** Resolves when the ping `catchUp`, which is to be sent now, is answered. Never rejects. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#caughtUp = resolve;
    });
  }

  /** From now on the destination may confirm. */
  streamComplete(): void {
    this.#streamComplete = true;
  }

  /** Reads to the end. Never rejects: failures go to `failed`. */
  async run(): Promise<void> {
    const decoder = new ReturnPathDecoder({
      limits: DEFAULT_LIMITS,
      message: (message) => this.#onMessage(message),
    });
    try {
      for await (const chunk of this.#channel.read()) {
        decoder.push(chunk);
        if (this.#refusal !== undefined) throw this.#refusal;
        if (this.#loaded) return;
      }
      decoder.end();
      throw this.#closed();
    } catch (error) {
      this.#options.failed(this.#explain(MigrationError.from(error)));
    }
  }

  #onMessage(message: ReturnMessage): void {
    switch (message.kind) {
      case "pong":
        this.#onPong(message.value);
        return;
      case "shut":
        this.#onShut(message.status);
        return;
      case "switchover-ack":
        // One that has been told to acknowledge does so, whether anything waits for it here or not.
        this.#acknowledged = true;
        this.#options.prepared();
        return;
      default:
        throw new MigrationError("BAD_RETURN_MESSAGE", `The message '${message.kind}' answers nothing`);
    }
  }

  #onPong(value: number): void {
    if (value === PING.prepare) {
      this.#prepared = true;
      this.#options.prepared();
    } else if (value === PING.catchUp && this.#caughtUp !== undefined) {
      this.#caughtUp();
      this.#caughtUp = undefined;
    } else if (value !== PING.hello) {
      throw new MigrationError("BAD_RETURN_MESSAGE", `PONG ${value} answers no ping`);
    }
  }

  #onShut(status: number): void {
    if (status !== 0) {
      this.#refusal ??= new MigrationError(
        "PEER_REFUSED",
        `The destination '${this.#channel.peer}' could not load the guest (status ${status}); its own log has the reason`,
      );
      return;
    }
    if (!this.#streamComplete) {
      throw new MigrationError("BAD_RETURN_MESSAGE", "SHUT 0 came before the end of the stream");
    }
    this.#loaded = true;
    this.#confirmed.resolve();
  }

  #closed(): MigrationError {
    const { peer } = this.#channel;
    const when = this.#streamComplete
      ? "without confirming that it has loaded the guest"
      : "during the migration";
    const message = `The destination '${peer}' closed the connection ${when}; its own log may say why`;
    return new MigrationError("CHANNEL_FAILED", message);
  }

  /** The decoder knows the place, and not who spoke. */
  #explain(error: MigrationError): MigrationError {
    switch (error.code) {
      case "BAD_RETURN_MESSAGE":
      case "LIMIT_EXCEEDED":
      case "TRUNCATED": {
        const message = `The destination '${this.#channel.peer}' broke the protocol of the return path: ${error.message}`;
        return new MigrationError(error.code, message, {
          cause: error,
          ...(error.offset === undefined ? {} : { offset: error.offset }),
        });
      }
      default:
        return brokenOff(error, this.#channel.peer);
    }
  }
}
