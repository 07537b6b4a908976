import type { Action } from "../src/actions.ts";
import type { GuestView } from "../src/guest-view.ts";
import { Connection } from "./connection.ts";
import type { ConnectionState } from "./connection.ts";
import { Controls } from "./controls.ts";
import { element, setHidden, setText } from "./dom.ts";
import { GuestList } from "./guest-list.ts";
import { isMigrating } from "./guest-state.ts";
import { HeatMap } from "./heat-map.ts";
import { LoginForm } from "./login.ts";
import { MigrationView } from "./migration-view.ts";
import { Painter } from "./painter.ts";
import { PassTable } from "./pass-table.ts";
import { Store } from "./store.ts";
import { setUpTheme } from "./theme.ts";
import { Timeline } from "./timeline.ts";

const STATES: Readonly<Record<ConnectionState["kind"], string>> = {
  connecting: "Connecting …",
  locked: "",
  open: "Live",
  silent: "Nothing new: what is shown may be old",
};

/**
 * A migration that is over by then is drawn once, when it is over: charts and map take longer to draw than all the rest, the
 * first time most of all. Milliseconds.
 */
const YOUNG_MS = 1000;

/** The page: what has come is kept in the store, and drawn when the painter says so. Nothing is drawn in between. */
class Page {
  readonly #store = new Store();
  readonly #status = document.querySelector<HTMLElement>("#connection")!;
  readonly #news = document.querySelector<HTMLElement>("#news")!;
  readonly #login = new LoginForm((token) => this.#connection.logIn(token));
  readonly #list = new GuestList((id) => this.#choose(id));
  readonly #migration = new MigrationView();
  readonly #controls = new Controls((guest, action, done) => this.#act(guest, action, done));
  readonly #timeline = new Timeline();
  readonly #heatMap = new HeatMap();
  readonly #passes = new PassTable();
  readonly #detail = element(
    "div",
    { class: "detail" },
    this.#migration.node,
    element("div", { class: "column" }, this.#controls.node, this.#heatMap.node),
    element("div", { class: "column" }, this.#timeline.node, this.#passes.node),
  );
  readonly #connection: Connection;
  #shown: string | null = null;
  /** Whoever uses the page has chosen it. */
  #isChosen = false;
  #watched: string | null = null;
  readonly #painter = new Painter(() => this.#render());
  readonly #states = new Map<string, string>();

  constructor() {
    setUpTheme(document.querySelector<HTMLSelectElement>("#theme")!, () => {
      this.#timeline.restyle();
      this.#heatMap.restyle();
    });
    const board = element("div", { class: "board" }, this.#list.node, this.#detail);
    document.querySelector("#main")!.replaceChildren(this.#login.node, board);
    setHidden(this.#login.node, true);
    setHidden(this.#detail, true);
    this.#connection = new Connection({
      onState: (state) => this.#onState(state),
      onFrame: (frame) => {
        this.#store.apply(frame, this.#watched);
        this.#painter.request();
      },
      onRestart: () => this.#store.clear(),
    });
  }

  #onState(state: ConnectionState): void {
    setText(this.#status, STATES[state.kind]);
    this.#status.dataset["state"] = state.kind;
    const isLocked = state.kind === "locked";
    setHidden(this.#login.node, !isLocked);
    setHidden(this.#list.node.parentElement!, isLocked);
    if (isLocked) this.#login.show(state.refusal);
  }

  #choose(id: string): void {
    this.#shown = id;
    this.#isChosen = true;
    this.#painter.hurry();
  }

  async #act(guest: string, action: Action, done: string): Promise<string | null> {
    const error = await this.#connection.act(guest, action);
    if (error === null) setText(this.#news, done);
    return error;
  }

  #render(): void {
    const guests = [...this.#store.guests.values()];
    this.#follow(guests);
    this.#list.render(guests, this.#shown);
    const shown = this.#store.guests.get(this.#shown ?? "");
    setHidden(this.#detail, shown === undefined);
    this.#tell(guests);
    if (shown === undefined) return;
    const [source, destination] = this.#endsOf(shown);
    this.#watch(source);
    this.#migration.render(source, destination);
    // The guest may run at the other end by now.
    this.#controls.render(isMigrating(source) ? source : shown, guests);
    if (isMigrating(source) && (source.outgoing?.elapsed ?? 0) < YOUNG_MS) return;
    this.#renderCourse(source);
  }

  /** Until somebody chooses, the page shows what happens. */
  #follow(guests: readonly GuestView[]): void {
    if (this.#shown !== null && this.#store.guests.has(this.#shown) && this.#isChosen) return;
    const best =
      guests.find(isMigrating) ??
      this.#store.guests.get(this.#shown ?? "") ??
      guests.find(({ owner }) => owner === "owner") ??
      guests[0];
    this.#shown = best?.id ?? null;
  }

  /** The source and the destination of the migration that a guest has to do with. */
  #endsOf(shown: GuestView): readonly [GuestView, GuestView | undefined] {
    const peer = this.#store.guests.get(shown.peer ?? "");
    const cameFromPeer =
      peer?.target != null && shown.incoming !== null && !isMigrating(shown) && shown.target === null;
    return cameFromPeer ? [peer, shown] : [shown, peer];
  }

  #watch(source: GuestView): void {
    if (this.#watched === source.id) return;
    this.#watched = source.id;
    this.#store.forgetWatched();
    this.#connection.watch(source.id);
    // What is shown is another guest's.
    this.#renderCourse(source);
  }

  #renderCourse({ passes }: GuestView): void {
    this.#timeline.render(this.#store.points, this.#store.pointsRevision);
    this.#passes.render(passes);
    this.#heatMap.render(this.#store.memory, this.#store.memoryRevision);
  }

  /** Says aloud how a migration has ended. */
  #tell(guests: readonly GuestView[]): void {
    for (const { id, name, outgoing } of guests) {
      const state = outgoing === null ? "none" : `${outgoing.migration} ${outgoing.state}`;
      const before = this.#states.get(id);
      this.#states.set(id, state);
      if (before === undefined || before === state || outgoing === null) continue;
      if (outgoing.verdict.kind === "ended")
        setText(this.#news, `The migration of ${name} has ${words(outgoing.state)}`);
    }
  }
}

function words(state: string): string {
  return state === "cancelled" ? "been cancelled" : state;
}

/** Runs for as long as the page is open. */
function openPage(): Page {
  return new Page();
}

openPage();
