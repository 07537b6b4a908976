import {
  agreedTo,
  askFor,
  DEFAULT_LIMITS,
  MigrationError,
  NO_EXTENSIONS,
  ReturnPathDecoder,
} from "@peregrine/protocol";
import type { Extensions, MigrationId, ReturnMessage } from "@peregrine/protocol";
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
  /** What the destination is asked for beyond QEMU's protocol, in a ping after the first. */
  readonly asks: Extensions;
  /** The destination has answered what it is asked for beyond QEMU's protocol. */
  readonly agreed: (extensions: Extensions) => void;
  /** Whether the destination is to acknowledge that it can take over. */
  readonly acknowledges: boolean;
  /** The destination has failed, refused or broken the protocol. Called at most once. */
  readonly failed: (error: MigrationError) => void;
  /** {@link ReturnPathReader.prepared} may have changed. */
  readonly prepared: () => void;
  /** A whole message has come. */
  readonly heard: () => void;
}

/** Listens to what the destination says. */
export class ReturnPathReader {
  readonly #channel: Channel;
  readonly #options: ReturnPathOptions;
  readonly #confirmed = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  readonly #loaded = Promise.withResolvers<void>();
  #answered = false;
  #extensions = NO_EXTENSIONS;
  /** Who may say now that the guest is the destination's. */
  #mayTake = false;
  #offered: MigrationId | undefined;
  #kept = false;
  #streamComplete = false;
  #taken = false;
  #reason: string | undefined;
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

  /** Whether the destination has answered what it was asked for. A QEMU does so, too, and agrees to nothing. */
  get answered(): boolean {
    return this.#answered;
  }

  /** What was agreed on with the destination; nothing before it has answered. */
  get extensions(): Extensions {
    return this.#extensions;
  }

  /** Whether the destination has said that it does not have the guest. */
  get refused(): boolean {
    return this.#refusal !== undefined;
  }

  /** Whether it is certain that the destination does not have the guest: it has refused it, or was never told that it gets it. */
  get lacksGuest(): boolean {
    return this.refused || (this.#offered !== undefined && !this.#mayTake);
  }

  /** Resolves when a destination that waits for the decision has loaded everything. Never rejects. */
  get loaded(): Promise<void> {
    return this.#loaded.promise;
  }

  /** Resolves when the destination has the guest. Never rejects. */
  get confirmed(): Promise<void> {
    return this.#confirmed.promise;
  }

  /** Resolves when the ping `catchUp`, which is to be sent now, is answered. Never rejects. */
  caughtUp(): Promise<void> {
    return new Promise((resolve) => {
      this.#caughtUp = resolve;
    });
  }

  /** Everything is sent. @param offered the name of what the destination waits for; without one it may take the guest. */
  streamComplete(offered: MigrationId | undefined): void {
    this.#streamComplete = true;
    this.#offered = offered;
    this.#mayTake = offered === undefined;
  }

  /** The destination does not get the guest: what it says or does from now on is its own affair. */
  kept(): void {
    this.#kept = true;
  }

  /** From now on the destination may take the guest. */
  given(): void {
    this.#mayTake = true;
  }

  /** Resolves when nothing more is read. Never rejects. */
  get over(): Promise<void> {
    return this.#over.promise;
  }

  /** Reads to the end. Never rejects: failures go to `failed`. */
  async run(): Promise<void> {
    await this.#read();
    this.#over.resolve();
  }

  async #read(): Promise<void> {
    const decoder = new ReturnPathDecoder({
      // Nobody asks for bitmaps here.
      limits: { ...DEFAULT_LIMITS, maxReceivedBitmapBytes: 0 },
      message: (message) => this.#onMessage(message),
    });
    try {
      for await (const chunk of this.#channel.read()) {
        decoder.push(chunk);
        if (this.#refusal !== undefined) throw this.#refusal;
        if (this.#taken) return;
      }
      decoder.end();
      throw this.#closed();
    } catch (error) {
      if (!this.#kept) this.#options.failed(this.#explain(MigrationError.from(error)));
    }
  }

  #onMessage(message: ReturnMessage): void {
    // A length that promises more than comes would make any bytes look like a sign of life.
    this.#options.heard();
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
      case "loaded":
        this.#onLoaded(message.migration);
        return;
      case "reason":
        this.#reason = message.text;
        return;
      case "alive":
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
    } else if (value === askFor(this.#options.asks)) {
      this.#agree(NO_EXTENSIONS);
    } else if (value !== PING.hello) {
      const agreed = agreedTo(value);
      if (agreed === undefined)
        throw new MigrationError("BAD_RETURN_MESSAGE", `PONG ${value} answers no ping`);
      this.#agree(agreed);
    }
  }

  #agree(extensions: Extensions): void {
    this.#answered = true;
    this.#extensions = extensions;
    this.#options.agreed(extensions);
  }

  #onShut(status: number): void {
    if (status !== 0) {
      const why =
        this.#reason === undefined ? ` (status ${status}); its own log has the reason` : `: ${this.#reason}`;
      const text = `The destination '${this.#channel.peer}' could not load the guest${why}`;
      this.#refusal ??= new MigrationError("PEER_REFUSED", text);
      return;
    }
    if (!this.#mayTake) {
      const when = this.#streamComplete ? "the guest was given to it" : "the end of the stream";
      throw new MigrationError("BAD_RETURN_MESSAGE", `SHUT 0 came before ${when}`);
    }
    this.#taken = true;
    this.#confirmed.resolve();
  }

  #onLoaded(migration: MigrationId): void {
    if (migration !== this.#offered) {
      throw new MigrationError("BAD_RETURN_MESSAGE", "LOADED came for a guest that was not offered");
    }
    this.#loaded.resolve();
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
