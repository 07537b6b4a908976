import { MigrationError } from "@peregrine/protocol";
import { isUnderWay } from "@peregrine/shared-state";
import type { GuestLink, KnownGuest } from "./guest-link.ts";
import { listeningUri, unknownGuest, viewOf } from "./guest-view.ts";
import type { GuestView } from "./guest-view.ts";
import { History } from "./history.ts";
import { FRAMES_PER_SECOND } from "./messages.ts";
import type { MemoryView } from "./messages.ts";
import { parseObservation, parseSettings } from "./observation.ts";
import type { Observation, Outgoing } from "./observation.ts";

/** Cells of the picture of guest memory. */
export const MEMORY_CELLS = 4096;

/** Milliseconds between two looks at a guest. */
const PACE = {
  /** While it is sent from here. */
  sending: 1000 / FRAMES_PER_SECOND,
  /** While it arrives: how far that is the source knows. */
  arriving: 500,
  /** While a page is open: how late a migration that somebody else begins is seen. */
  shown: 250,
  /** While no page is open. A migration that begins then has a timeline from its next look on. */
  unseen: 1000,
  /** An agent that could not be reached. */
  lost: 1000,
};

/** The picture of memory is taken at every so manieth look. */
const LOOKS_PER_PICTURE = 2;

/** Parameters change seldom; they are asked for at every so manieth look, and when a page has changed them. */
const LOOKS_PER_SETTINGS = 10;

export interface WatcherOptions {
  /** Whether a page is open. */
  readonly isShown: () => boolean;
  /** Whether a page shows the memory of this guest. */
  readonly isWatched: (id: string) => boolean;
  /** Its agent cannot be reached any more. */
  readonly onLost: () => void;
}

/** Looks at one guest again and again for as long as its agent is there, and keeps what pages need. */
export class GuestWatcher {
  readonly id: string;
  readonly history = new History();
  readonly #guest: KnownGuest;
  readonly #options: WatcherOptions;
  readonly #stopped = new AbortController();
  #link: GuestLink | undefined;
  #view: GuestView;
  /** The view, to see whether it has changed. */
  #text = "";
  #revision = 1;
  #memory: MemoryView | null = null;
  #memoryRevision = 0;
  #listenedOn: string | null = null;
  #settingsDue = 0;
  #looks = 0;
  #wake: () => void = () => {};
  /** Woken since the last look began. */
  #isHurried = false;

  constructor(guest: KnownGuest, options: WatcherOptions) {
    this.id = guest.id;
    this.#guest = guest;
    this.#options = options;
    this.#view = unknownGuest(guest.id, guest.place);
    void this.#run();
  }

  get view(): GuestView {
    return this.#view;
  }

  /** Rises whenever the view changes. */
  get revision(): number {
    return this.#revision;
  }

  get memory(): MemoryView | null {
    return this.#memory;
  }

  get memoryRevision(): number {
    return this.#memoryRevision;
  }

  /** Where it listened last. */
  get listenedOn(): string | null {
    return this.#listenedOn;
  }

  /** Undefined while its agent cannot be reached. */
  get link(): GuestLink | undefined {
    return this.#link;
  }

  /** Looks now, and at what a page may have changed. */
  hurry(): void {
    this.#settingsDue = 0;
    this.#isHurried = true;
    this.#wake();
  }

  /** The agent is gone for good: what it said last stays. */
  end(): void {
    this.stop();
    this.#show({ ...this.#view, link: "ended", fault: null });
  }

  setPeer(peer: string | null): void {
    if (peer !== this.#view.peer) this.#show({ ...this.#view, peer });
  }

  stop(): void {
    this.#stopped.abort();
    this.#wake();
    void this.#link?.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      try {
        await this.#follow();
      } catch (error) {
        if (signal.aborted) return;
        this.#show({ ...this.#view, link: "lost", fault: MigrationError.from(error).message });
        this.#options.onLost();
      }
      await this.#pause(PACE.lost);
    }
  }

  /** Looks until the agent cannot be reached. */
  async #follow(): Promise<void> {
    const link = await this.#guest.open();
    const unsubscribe = link.events.subscribe(() => this.hurry());
    this.#link = link;
    try {
      while (!this.#stopped.signal.aborted) {
        this.#isHurried = false;
        await this.#look(link);
        if (!this.#isHurried) await this.#pause(this.#pace);
      }
    } finally {
      unsubscribe();
      this.#link = undefined;
      await link.close();
    }
  }

  async #look(link: GuestLink): Promise<void> {
    const wantsPicture = this.#options.isWatched(this.id) && this.#wantsPicture;
    const cells = wantsPicture ? MEMORY_CELLS : 0;
    const observation = parseObservation(await link.execute("x-peregrine-observe", { cells }));
    if (this.#settingsDue-- <= 0) {
      this.#settingsDue = LOOKS_PER_SETTINGS;
      const parameters = await link.execute("query-migrate-parameters");
      const settings = parseSettings(parameters, await link.execute("query-migrate-capabilities"));
      this.#show({ ...this.#view, settings });
    }
    if (this.#stopped.signal.aborted) return;
    this.#take(observation);
    this.#looks++;
  }

  /** A migration that is over has one picture, which does not change. */
  get #wantsPicture(): boolean {
    if (this.#memory === null || !this.#isSending) return this.#memory === null || this.#looks % 10 === 0;
    return this.#looks % LOOKS_PER_PICTURE === 0;
  }

  #take(observation: Observation): void {
    const { outgoing } = observation;
    if (outgoing?.migration !== this.#view.outgoing?.migration) {
      this.history.restart();
      this.#setMemory(null);
    }
    if (outgoing !== null) this.#addPoint(outgoing);
    if (observation.memory !== null) {
      const { cells, ...rest } = observation.memory;
      this.#setMemory({ ...rest, cells: Buffer.from(cells, "base64") });
    }
    const view = viewOf(this.#view, observation);
    // A source that was quick has connected before the first look.
    this.#listenedOn = listeningUri(observation.incoming) ?? this.#listenedOn;
    this.#show(view);
  }

  #addPoint(snapshot: Outgoing): void {
    const { elapsed, sendRate, dirtyRate, remaining, diskRemaining, state } = snapshot;
    const downtime = state === "completed" ? snapshot.downtime : snapshot.predictedDowntime;
    const left = remaining + diskRemaining;
    this.history.add([elapsed / 1000, sendRate, dirtyRate ?? 0, left, downtime, snapshot.downtimeLimit]);
  }

  #setMemory(memory: MemoryView | null): void {
    if (memory === null && this.#memory === null) return;
    if (memory !== null && this.#memory !== null && isSame(memory, this.#memory)) return;
    this.#memory = memory;
    this.#memoryRevision++;
  }

  #show(view: GuestView): void {
    const text = JSON.stringify(view);
    if (text === this.#text) return;
    this.#text = text;
    this.#view = view;
    this.#revision++;
  }

  get #isSending(): boolean {
    const { outgoing } = this.#view;
    return outgoing !== null && isUnderWay(outgoing.state);
  }

  get #pace(): number {
    if (this.#isSending) return PACE.sending;
    if (!this.#options.isShown()) return PACE.unseen;
    return this.#view.incoming === "active" || this.#view.status === "inmigrate" ? PACE.arriving : PACE.shown;
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#stopped.signal.aborted) this.#wake();
    });
  }
}

function isSame(one: MemoryView, other: MemoryView): boolean {
  return one.pagesPerCell === other.pagesPerCell && Buffer.compare(one.cells, other.cells) === 0;
}
