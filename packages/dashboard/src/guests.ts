import type { FindGuests, KnownGuest } from "./guest-link.ts";
import { GuestWatcher } from "./guest-watcher.ts";
import { pairEnds } from "./pair-ends.ts";

/** Guests that are looked at, and those that have ended and are still shown. */
const MOST_GUESTS = 64;
const MOST_ENDED = 8;

/** How often it is looked which guests there are. Milliseconds. */
const FIND_MS = 1000;

/** What a page looks at. */
export interface Viewer {
  /** The guest whose timeline and memory it shows. */
  readonly watched: string | null;
}

/** All guests that a dashboard shows. */
export class Guests {
  readonly #ways: readonly FindGuests[];
  readonly #watchers = new Map<string, GuestWatcher>();
  /** In the order in which they ended. */
  readonly #ended: string[] = [];
  readonly #viewers = new Set<Viewer>();
  #timer: NodeJS.Timeout | undefined;
  #finding = false;
  #stopped = false;

  constructor(ways: readonly FindGuests[]) {
    this.#ways = ways;
    void this.#find();
  }

  /** In the order in which they were found. */
  get all(): readonly GuestWatcher[] {
    return [...this.#watchers.values()];
  }

  get(id: string): GuestWatcher | undefined {
    return this.#watchers.get(id);
  }

  /** @returns a function that ends it. */
  addViewer(viewer: Viewer): () => void {
    this.#viewers.add(viewer);
    for (const watcher of this.all) watcher.hurry();
    return () => void this.#viewers.delete(viewer);
  }

  /** Finds both ends of migrations among those that are shown. */
  pair(): void {
    const ends = this.all.map(({ id, view, listenedOn }) => {
      const { migrations, target, incoming, role } = view;
      return { id, migrations, target, incoming, role, listenedOn };
    });
    const peers = pairEnds(ends);
    for (const watcher of this.all) watcher.setPeer(peers.get(watcher.id) ?? null);
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    for (const watcher of this.all) watcher.stop();
  }

  async #find(): Promise<void> {
    if (this.#finding || this.#stopped) return;
    this.#finding = true;
    clearTimeout(this.#timer);
    const found = (await Promise.all(this.#ways.map((find) => find()))).flat();
    this.#finding = false;
    if (this.#stopped) return;
    this.#take(found);
    this.#timer = setTimeout(() => void this.#find(), FIND_MS);
  }

  #take(found: readonly KnownGuest[]): void {
    const ids = new Set(found.map(({ id }) => id));
    for (const watcher of this.all) {
      if (ids.has(watcher.id) || watcher.view.link !== "lost") continue;
      watcher.end();
      this.#ended.push(watcher.id);
    }
    for (const guest of found) {
      const known = this.#watchers.get(guest.id);
      if (known !== undefined && known.view.link !== "ended") continue;
      if (known === undefined && this.#watchers.size - this.#ended.length >= MOST_GUESTS) continue;
      this.#forget(guest.id);
      this.#watchers.set(guest.id, this.#watch(guest));
    }
    while (this.#ended.length > MOST_ENDED) this.#forget(this.#ended[0]!);
  }

  #forget(id: string): void {
    const index = this.#ended.indexOf(id);
    if (index >= 0) this.#ended.splice(index, 1);
    this.#watchers.delete(id);
  }

  #watch(guest: KnownGuest): GuestWatcher {
    return new GuestWatcher(guest, {
      isShown: () => this.#viewers.size > 0,
      isWatched: (id) => [...this.#viewers].some(({ watched }) => watched === id),
      onLost: () => void this.#find(),
    });
  }
}
