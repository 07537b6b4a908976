import type { AnnounceRequest } from "@peregrine/shared-state";
import { announceDelay } from "./announce-delay.ts";
import { SYSTEM_CLOCK } from "./clock.ts";
import type { Clock } from "./clock.ts";

/** What the announcer needs of a network interface. */
export interface Announceable {
  readonly id: string;
  /** Tells the network where the interface is. Does not wait for anything. */
  announce(): void;
}

/** One round of an announcement. */
export interface AnnouncedRound<Interface> {
  /** From 1 on. */
  readonly round: number;
  readonly interfaces: readonly Interface[];
}

export interface AnnouncerOptions<Interface> {
  readonly interfaces: readonly Interface[];
  /** Whether the guest is here. Asked before each round; an announcement ends when it is not. */
  readonly isHere: () => boolean;
  /** Called with each round, also without any interface. */
  readonly announced: (round: AnnouncedRound<Interface>) => void;
  /** Default: that of the process. */
  readonly clock?: Clock;
}

/**
 * Announces where the guest is, in several rounds because nobody confirms that a frame has come. Each round has its
 * time counted from the first one, so that a late round does not make the others later.
 */
export class Announcer<Interface extends Announceable> {
  readonly #options: AnnouncerOptions<Interface>;
  readonly #clock: Clock;
  /** How to end each announcement that is under way, by its id. */
  readonly #running = new Map<string, () => void>();

  constructor(options: AnnouncerOptions<Interface>) {
    this.#options = options;
    this.#clock = options.clock ?? SYSTEM_CLOCK;
  }

  /** Makes the first round before it returns. */
  announce({ interfaces: wanted, id = "", ...schedule }: AnnounceRequest): void {
    this.#end(id);
    const { interfaces } = this.#options;
    const chosen = wanted === undefined ? interfaces : interfaces.filter((one) => wanted.includes(one.id));
    const makeRound = (round: number, due: number): void => {
      this.#running.delete(id);
      if (round > schedule.rounds || !this.#options.isHere()) return;
      for (const one of chosen) one.announce();
      this.#options.announced({ round, interfaces: chosen });
      if (round === schedule.rounds) return;
      const next = due + announceDelay(schedule, round + 1);
      this.#running.set(
        id,
        this.#clock.at(next, () => makeRound(round + 1, next)),
      );
    };
    makeRound(1, this.#clock.now());
  }

  /** Ends every announcement that is under way. */
  stop(): void {
    for (const id of this.#running.keys()) this.#end(id);
  }

  #end(id: string): void {
    this.#running.get(id)?.();
    this.#running.delete(id);
  }
}
