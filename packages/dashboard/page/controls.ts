import type { Action } from "../src/actions.ts";
import type { GuestView } from "../src/guest-view.ts";
import { element, setHidden, setText } from "./dom.ts";
import { editableRate, parseRate } from "./format.ts";
import { canMigrate, isMigrating } from "./guest-state.ts";

export type Act = (guest: string, action: Action, done: string) => Promise<string | null>;

/** What can be done to the guest that is shown. */
export class Controls {
  readonly node: HTMLElement;
  readonly #act: Act;
  readonly #form: HTMLFormElement;
  readonly #uri = field("uri", {
    required: "",
    spellcheck: "false",
    autocomplete: "off",
    list: "destinations",
  });
  readonly #destinations = element("datalist", { id: "destinations" });
  readonly #bandwidth = field("bandwidth", {
    placeholder: "unlimited",
    autocomplete: "off",
    inputmode: "text",
  });
  readonly #downtime = field("downtime", { type: "number", min: "0", max: "2000000", step: "1" });
  readonly #autoConverge = field("auto-converge", { type: "checkbox" });
  readonly #xbzrle = field("xbzrle", { type: "checkbox" });
  readonly #start: HTMLElement;
  readonly #switches: HTMLElement;
  readonly #send = button("Start the migration", "primary", "submit");
  readonly #apply = button("Apply the limits", "primary", "submit");
  readonly #cancel = button("Cancel", "danger");
  readonly #converge = button("Slow the guest down");
  readonly #switchover = button("Switch over now");
  readonly #goOn = button("Go on", "primary");
  readonly #stop = button("Pause the guest");
  readonly #cont = button("Let the guest run");
  readonly #error = element("p", { class: "refusal", role: "alert" });
  #guest: GuestView | undefined;
  /** The guest whose settings are in the fields. */
  #filled: string | undefined;

  constructor(act: Act) {
    this.#act = act;
    this.#start = labelled("Destination", this.#uri, "tcp:HOST:PORT, where a guest is awaited");
    this.#switches = element(
      "div",
      { class: "switches" },
      element("label", {}, this.#autoConverge, " Slow the guest down if needed (auto-converge)"),
      element("label", {}, this.#xbzrle, " Send what has changed in a page (xbzrle)"),
    );
    this.#form = element(
      "form",
      { novalidate: "" },
      this.#start,
      this.#destinations,
      labelled("Bandwidth", this.#bandwidth, "bytes per second, such as 64M; empty: unlimited"),
      labelled("Downtime", this.#downtime, "milliseconds that the guest may stand still"),
      this.#switches,
      element(
        "div",
        { class: "buttons" },
        this.#send,
        this.#apply,
        this.#cancel,
        this.#goOn,
        this.#converge,
        this.#switchover,
        this.#stop,
        this.#cont,
      ),
      this.#error,
    );
    this.node = element(
      "section",
      { class: "card", "aria-labelledby": "controls-title" },
      element("h2", { id: "controls-title" }, "Control"),
      this.#form,
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#on(this.#cancel, { kind: "cancel" }, "The migration is being cancelled");
    this.#on(this.#converge, { kind: "converge" }, "The guest is being slowed down");
    this.#on(this.#switchover, { kind: "switchover" }, "The guest is being stopped for what is left");
    this.#on(this.#goOn, { kind: "continue" }, "The migration goes on");
    this.#on(this.#stop, { kind: "stop" }, "The guest is paused");
    this.#on(this.#cont, { kind: "cont" }, "The guest runs");
  }

  render(guest: GuestView, all: readonly GuestView[]): void {
    this.#guest = guest;
    const migrating = isMigrating(guest);
    const ready = canMigrate(guest);
    this.#fill(guest);
    const held = document.activeElement;
    setHidden(this.#start, !ready);
    setHidden(this.#switches, !ready);
    setHidden(this.#send, !ready);
    setHidden(this.#apply, !migrating);
    setHidden(this.#cancel, !migrating);
    setHidden(
      this.#converge,
      !migrating || guest.outgoing?.canThrottle !== true || guest.outgoing.throttle > 0,
    );
    setHidden(this.#switchover, !migrating || guest.outgoing?.state !== "active");
    setHidden(this.#goOn, guest.outgoing?.state !== "pre-switchover" || !migrating);
    setHidden(this.#stop, !ready || guest.status !== "running");
    setHidden(this.#cont, !ready || guest.status === "running" || guest.machine === "");
    setHidden(this.node, !ready && !migrating);
    this.#keepFocus(held, migrating);
    this.#offer(guest, all);
  }

  /** A button that goes away takes the focus with it: who uses the keyboard finds the one that undoes it. */
  #keepFocus(held: Element | null, migrating: boolean): void {
    if (held === null || !this.#form.contains(held) || (held as HTMLElement).offsetParent !== null) return;
    const opposite = held === this.#stop ? this.#cont : held === this.#cont ? this.#stop : undefined;
    const next = opposite ?? (migrating ? this.#cancel : this.#send);
    if (this.node.hidden) document.querySelector<HTMLElement>("#migration")?.focus();
    else next.focus();
  }

  /** Destinations that are awaited on the same dashboard. */
  #offer(guest: GuestView, all: readonly GuestView[]): void {
    const waiting = all.filter(({ id, listensOn }) => id !== guest.id && listensOn !== null);
    const texts = waiting.map(({ listensOn, name }) => `${listensOn}\n${name}`).join("\n");
    if (this.#destinations.dataset["texts"] === texts) return;
    this.#destinations.dataset["texts"] = texts;
    const options = waiting.map(({ listensOn, name }) => element("option", { value: listensOn! }, name));
    this.#destinations.replaceChildren(...options);
    if (this.#uri.value === "" && waiting.length === 1) this.#uri.value = waiting[0]!.listensOn!;
  }

  #fill({ id, settings }: GuestView): void {
    if (settings === null || this.#filled === id) return;
    this.#filled = id;
    this.#uri.value = "";
    delete this.#destinations.dataset["texts"];
    this.#bandwidth.value = editableRate(settings.bandwidth);
    this.#downtime.value = String(settings.downtime);
    this.#autoConverge.checked = settings.autoConverge;
    this.#xbzrle.checked = settings.xbzrle;
    setText(this.#error, "");
  }

  #submit(): void {
    const guest = this.#guest;
    if (guest === undefined) return;
    const bandwidth = parseRate(this.#bandwidth.value);
    const downtime = Number(this.#downtime.value);
    if (bandwidth === undefined)
      return this.#refuse(this.#bandwidth, "The bandwidth is a number such as 64M");
    if (!Number.isInteger(downtime) || downtime < 0 || this.#downtime.value === "") {
      return this.#refuse(this.#downtime, "The downtime is a whole number of milliseconds");
    }
    if (isMigrating(guest)) {
      void this.#do({ kind: "limit", bandwidth, downtime }, "The limits are set");
      return;
    }
    const uri = this.#uri.value.trim();
    if (uri === "") return this.#refuse(this.#uri, "The destination is missing, such as tcp:127.0.0.1:4444");
    const autoConverge = this.#autoConverge.checked;
    const xbzrle = this.#xbzrle.checked;
    const action: Action = { kind: "migrate", uri, bandwidth, downtime, autoConverge, xbzrle };
    void this.#do(action, `The migration of ${guest.name} begins`);
  }

  #refuse(input: HTMLInputElement, text: string): void {
    setText(this.#error, text);
    input.setAttribute("aria-invalid", "true");
    input.addEventListener("input", () => input.removeAttribute("aria-invalid"), { once: true });
    input.focus();
  }

  #on(target: HTMLElement, action: Action, done: string): void {
    target.addEventListener("click", () => void this.#do(action, done));
  }

  async #do(action: Action, done: string): Promise<void> {
    if (this.#guest === undefined) return;
    setText(this.#error, "");
    setText(this.#error, (await this.#act(this.#guest.id, action, done)) ?? "");
  }
}

function field(id: string, attributes: Readonly<Record<string, string>>): HTMLInputElement {
  return element("input", { id, ...attributes });
}

function labelled(label: string, input: HTMLInputElement, help: string): HTMLElement {
  input.setAttribute("aria-describedby", `${input.id}-help`);
  return element(
    "div",
    { class: "field" },
    element("label", { for: input.id }, label),
    input,
    element("small", { id: `${input.id}-help`, class: "quiet" }, help),
  );
}

function button(text: string, kind = "", type = "button"): HTMLButtonElement {
  return element("button", { type, ...(kind === "" ? {} : { class: kind }) }, text);
}
