import { constants } from "node:os";

/** The signals that end a process in order. */
const ENDING_SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
export type EndingSignal = (typeof ENDING_SIGNALS)[number];

/**
 * A terminal signals every process of its foreground group, and launchers such as pnpm pass the signal on as well,
 * so one press of a key can arrive more than once. Milliseconds.
 */
const SAME_PRESS_MS = 250;

export interface HostSignalsOptions {
  /** A second signal: the user does not want to wait. Ends the process at once by default. */
  readonly onSecond?: (signal: EndingSignal) => void;
  /** Milliseconds. */
  readonly now?: () => number;
  readonly source?: Pick<NodeJS.Process, "on" | "off">;
}

/** Turns the signals that end a process into a promise, from the moment it is made until it is disposed of. */
export class HostSignals {
  /** Resolves with the first signal. */
  readonly first: Promise<EndingSignal>;
  readonly #resolve: (signal: EndingSignal) => void;
  readonly #onSecond: (signal: EndingSignal) => void;
  readonly #now: () => number;
  readonly #source: Pick<NodeJS.Process, "on" | "off">;
  #received: { readonly signal: EndingSignal; readonly at: number } | undefined;

  constructor({ onSecond, now, source }: HostSignalsOptions = {}) {
    const { promise, resolve } = Promise.withResolvers<EndingSignal>();
    this.first = promise;
    this.#resolve = resolve;
    this.#onSecond = onSecond ?? ((signal) => process.exit(signalStatus(signal)));
    this.#now = now ?? (() => performance.now());
    this.#source = source ?? process;
    for (const signal of ENDING_SIGNALS) this.#source.on(signal, this.#receive);
  }

  /** The first signal, once it has come. */
  get received(): EndingSignal | undefined {
    return this.#received?.signal;
  }

  dispose(): void {
    for (const signal of ENDING_SIGNALS) this.#source.off(signal, this.#receive);
  }

  readonly #receive = (name: NodeJS.Signals): void => {
    const signal = name as EndingSignal;
    if (this.#received === undefined) {
      this.#received = { signal, at: this.#now() };
      this.#resolve(signal);
    } else if (this.#now() - this.#received.at >= SAME_PRESS_MS) {
      this.#onSecond(signal);
    }
  };
}

/** The exit status by which a shell reports a process that a signal ended. */
export function signalStatus(signal: EndingSignal): number {
  return 128 + constants.signals[signal];
}
