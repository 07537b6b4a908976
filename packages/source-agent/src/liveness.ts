import { MigrationError } from "@peregrine/protocol";
import type { Extensions } from "@peregrine/protocol";

/** A destination that listens for it hears something at least this often, milliseconds. */
const ALIVE_PERIOD_MS = 1000;

export interface LivenessOptions {
  /** As error texts name the destination. */
  readonly peer: string;
  /** Milliseconds without a word after which the destination counts as dead. 0: it never does. */
  readonly limit: number;
  /** Whether the destination has answered the first pings, of which the last asks what it agrees to. */
  readonly answered: () => boolean;
  /** What was agreed on with the destination by now. */
  readonly extensions: () => Extensions;
  /** Bytes that have gone out. */
  readonly written: () => number;
  /** Says that this side lives, if it can be said where the stream is now. */
  readonly tell: () => void;
  /** The destination has been silent for too long. Called at most once. */
  readonly silent: (error: MigrationError) => void;
  /** Milliseconds. */
  readonly now: () => number;
}

/**
 * Notices a destination that is dead, frozen or cut off, and shows it that this side is none of that. Every
 * destination has to answer the first pings; after that only one that has agreed to speak up is expected to.
 */
export class Liveness {
  readonly #options: LivenessOptions;
  readonly #timer: NodeJS.Timeout;
  #heardAt: number;
  #written = 0;

  constructor(options: LivenessOptions) {
    this.#options = options;
    this.#heardAt = options.now();
    const { limit } = options;
    // What went out behind one look is seen by the next one, and missed only by that behind it.
    const most = ALIVE_PERIOD_MS / 2;
    const period = limit === 0 ? most : Math.min(most, limit / 4);
    this.#timer = setInterval(() => this.#look(), period);
  }

  /** Anything has come from the destination. */
  heard(): void {
    this.#heardAt = this.#options.now();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const { peer, limit, answered, extensions, written, tell, silent, now } = this.#options;
    const { alive } = extensions();
    const bytes = written();
    if (alive && bytes === this.#written) tell();
    this.#written = bytes;
    const quiet = now() - this.#heardAt;
    if (limit === 0 || quiet <= limit || (answered() && !alive)) return;
    this.stop();
    const seconds = (limit / 1000).toFixed(1);
    const text = `The destination '${peer}' has said nothing for ${seconds} s: it is dead, frozen or cut off`;
    silent(new MigrationError("PEER_SILENT", text));
  }
}
