import { formatSize } from "@peregrine/shared-state/units";
import type { GuestView } from "../src/guest-view.ts";
import { element, setAttribute, setChildren, setHidden, setText } from "./dom.ts";
import { guestState } from "./guest-state.ts";

interface Entry {
  readonly item: HTMLLIElement;
  readonly button: HTMLButtonElement;
  readonly name: HTMLElement;
  readonly state: HTMLElement;
  readonly owner: HTMLElement;
  readonly program: HTMLElement;
  readonly memory: HTMLElement;
}

const OWNERS: Readonly<Record<GuestView["owner"], string>> = {
  owner: "owner",
  "not-owner": "not owner",
  undecided: "undecided",
};

/** The guests, of which one is shown. */
export class GuestList {
  readonly node: HTMLElement;
  readonly #list = element("ul", { class: "guests" });
  readonly #empty = element(
    "p",
    { class: "quiet" },
    "No guest runs here. One that is started with ",
    element("code", {}, "peregrine run"),
    " or awaited with ",
    element("code", {}, "peregrine receive"),
    " shows up by itself.",
  );
  readonly #entries = new Map<string, Entry>();
  readonly #choose: (id: string) => void;

  constructor(choose: (id: string) => void) {
    this.#choose = choose;
    this.node = element(
      "nav",
      { class: "side", "aria-labelledby": "guests-title" },
      element("h2", { id: "guests-title" }, "Guests"),
      this.#list,
      this.#empty,
    );
  }

  render(guests: readonly GuestView[], shown: string | null): void {
    for (const id of this.#entries.keys()) {
      if (!guests.some((guest) => guest.id === id)) this.#entries.delete(id);
    }
    setChildren(
      this.#list,
      guests.map((guest) => this.#update(guest, guest.id === shown)),
    );
    setHidden(this.#empty, guests.length > 0);
    setHidden(this.#list, guests.length === 0);
  }

  #update(guest: GuestView, isShown: boolean): HTMLElement {
    const entry = this.#entries.get(guest.id) ?? this.#add(guest.id);
    const { text, tone } = guestState(guest);
    setText(entry.name, guest.name);
    setText(entry.state, text);
    setAttribute(entry.state, "data-tone", tone);
    setText(entry.owner, OWNERS[guest.owner]);
    setAttribute(entry.owner, "data-owner", guest.owner);
    setHidden(entry.owner, guest.link === "ended" || guest.pid === 0);
    setText(
      entry.program,
      guest.program?.split("/").at(-1) ?? (guest.role === "destination" ? "waiting for a guest" : "–"),
    );
    setText(entry.memory, guest.memory > 0 ? `${formatSize(guest.memory)}, ${guest.place}` : guest.place);
    if (isShown) setAttribute(entry.button, "aria-current", "true");
    else entry.button.removeAttribute("aria-current");
    return entry.item;
  }

  #add(id: string): Entry {
    const name = element("span", { class: "name" });
    const state = element("span", { class: "pill" });
    const owner = element("span", { class: "owner" });
    const program = element("span", { class: "program" });
    const memory = element("span", { class: "memory" });
    const button = element(
      "button",
      { type: "button", class: "guest" },
      element("span", { class: "line" }, name, state),
      element("span", { class: "line quiet" }, program, owner),
      element("span", { class: "line quiet" }, memory),
    );
    button.addEventListener("click", () => this.#choose(id));
    const entry = { item: element("li", {}, button), button, name, state, owner, program, memory };
    this.#entries.set(id, entry);
    return entry;
  }
}
