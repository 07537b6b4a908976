import type { AnnounceRequest, AnnounceSchedule } from "@peregrine/shared-state";
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
  /** Whether the guest is here. Asked before each later round; an announcement ends when it is not. */
  readonly isHere: () => boolean;
  /** Called with each round, also without any interface. */
  readonly announced: (round: AnnouncedRound<Interface>) => void;
  /** Default: that of the process. */
  readonly clock?: Clock;
}

/** A round that is waited for. */
interface NextRound<Interface> extends AnnouncedRound<Interface> {
  /** Of the request. */
  readonly id: string;
  readonly schedule: AnnounceSchedule;
  /** By the clock. */
  readonly due: number;
}

/**
 * Announces where the guest is, in several rounds because nobody confirms that a frame has come. Each round has its
 * time counted from the end of the first one, so that a late round does not make the others later.
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
    if (schedule.rounds < 1) return;
    const all = this.#options.interfaces;
    const interfaces = wanted === undefined ? all : all.filter((one) => wanted.includes(one.id));
    this.#makeRound(1, interfaces);
    // The first round takes longest: it is the one that connects.
    const due = this.#clock.now() + announceDelay(schedule, 2);
    this.#await({ id, schedule, interfaces, round: 2, due });
  }

  /** Ends every announcement that is under way. */
  stop(): void {
    for (const id of this.#running.keys()) this.#end(id);
  }

  #makeRound(round: number, interfaces: readonly Interface[]): void {
    for (const one of interfaces) one.announce();
    this.#options.announced({ round, interfaces });
  }

  #await(next: NextRound<Interface>): void {
    const { id, schedule, interfaces, round, due } = next;
    if (round > schedule.rounds) return;
    const callOff = this.#clock.at(due, () => {
      this.#running.delete(id);
      if (!this.#options.isHere()) return;
      this.#makeRound(round, interfaces);
      this.#await({ ...next, round: round + 1, due: due + announceDelay(schedule, round + 1) });
    });
    this.#running.set(id, callOff);
  }

  #end(id: string): void {
    this.#running.get(id)?.();
    this.#running.delete(id);
  }
}
