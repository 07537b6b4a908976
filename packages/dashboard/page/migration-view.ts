import { formatSize } from "@peregrine/shared-state/units";
import type { GuestView } from "../src/guest-view.ts";
import { element, setAttribute, setHidden, setText } from "./dom.ts";
import { percent, rate, time } from "./format.ts";
import { guestState } from "./guest-state.ts";

const TONES: Readonly<Record<string, string>> = {
  converging: "good",
  ready: "good",
  "will-not-converge": "bad",
  "not-moving": "bad",
  throttling: "warn",
  completed: "good",
  failed: "bad",
};

const FIGURES = [
  "Sent",
  "Remaining",
  "Send rate",
  "Dirty rate",
  "Downtime",
  "Time",
  "Passes",
  "Slowed down",
] as const;

type FigureName = (typeof FIGURES)[number];

/** Both ends of a migration, how far it is, and what is to be expected. */
export class MigrationView {
  readonly node: HTMLElement;
  readonly #source = new EndCard("Source");
  readonly #destination = new EndCard("Destination");
  readonly #verdict = element("p", { class: "verdict", role: "status" });
  readonly #bar = element("div", {
    class: "progress",
    role: "progressbar",
    "aria-label": "Migration",
    "aria-valuemin": "0",
    "aria-valuemax": "100",
  });
  readonly #fill = element("span", {});
  readonly #pass = element("p", { class: "quiet" });
  readonly #figures: Readonly<Record<string, Figure>>;
  readonly #detail: HTMLElement;

  constructor() {
    const entries = FIGURES.map((name) => [name, new Figure(name)] as const);
    this.#figures = Object.fromEntries(entries);
    this.#bar.append(this.#fill);
    this.#detail = element(
      "div",
      {},
      this.#bar,
      this.#pass,
      element("dl", { class: "figures" }, ...entries.map(([, figure]) => figure.node)),
    );
    this.node = element(
      "section",
      { class: "card", id: "migration", tabindex: "-1", "aria-labelledby": "migration-title" },
      element("h2", { id: "migration-title" }, "Migration"),
      element(
        "div",
        { class: "ends" },
        this.#source.node,
        element("span", { class: "arrow", "aria-hidden": "true" }, "→"),
        this.#destination.node,
      ),
      this.#verdict,
      this.#detail,
    );
  }

  render(source: GuestView, destination: GuestView | undefined): void {
    this.#source.render(source, undefined);
    this.#destination.render(destination, source.target);
    const { outgoing } = source;
    setHidden(this.#detail, outgoing === null);
    if (outgoing === null) {
      setText(this.#verdict, "This guest has not been migrated.");
      setAttribute(this.#verdict, "data-tone", "quiet");
      return;
    }
    const { kind, text } = outgoing.verdict;
    const why = outgoing.state === "failed" && source.error !== null ? `failed: ${source.error}` : text;
    setText(
      this.#verdict,
      sentence(
        outgoing.state === "completed"
          ? `completed: the guest stood still for ${time(outgoing.downtime)}`
          : why,
      ),
    );
    setAttribute(this.#verdict, "data-tone", TONES[kind === "ended" ? outgoing.state : kind] ?? "quiet");
    const done = Math.floor(outgoing.fraction * 1000) / 10;
    setAttribute(this.#bar, "aria-valuenow", String(Math.floor(done)));
    setAttribute(this.#bar, "aria-valuetext", `${Math.floor(done)} %, pass ${outgoing.pass}`);
    const width = `${done}%`;
    if (this.#fill.style.width !== width) this.#fill.style.width = width;
    setAttribute(this.#bar, "data-state", outgoing.state);
    setText(
      this.#pass,
      outgoing.pass === 0
        ? "No pass has begun."
        : `${percent(outgoing.fraction)} in all; pass ${outgoing.pass}: ${formatSize(outgoing.passDone)} of ${formatSize(outgoing.passTotal)}`,
    );
    const { predictedDowntime, downtimeLimit, state } = outgoing;
    const texts: Record<FigureName, string | readonly [string, string]> = {
      Sent: formatSize(outgoing.transferred),
      Remaining: formatSize(state === "completed" ? 0 : outgoing.remaining + outgoing.diskRemaining),
      "Send rate": [
        rate(outgoing.sendRate),
        outgoing.bandwidthLimit > 0 ? `limit ${rate(outgoing.bandwidthLimit)}` : "no limit",
      ],
      "Dirty rate": rate(outgoing.dirtyRate),
      Downtime: [
        time(state === "completed" ? outgoing.downtime : predictedDowntime),
        `limit ${time(downtimeLimit)}`,
      ],
      Time: time(outgoing.elapsed),
      Passes: String(outgoing.pass),
      "Slowed down": outgoing.throttle === 0 ? "no" : `${outgoing.throttle} %`,
    };
    for (const name of FIGURES) this.#figures[name]!.show(texts[name]);
  }
}

/** One figure, and what it is to be seen beside. */
class Figure {
  readonly node: HTMLElement;
  readonly #value = element("strong", {});
  readonly #note = element("small", { class: "quiet" });

  constructor(name: string) {
    this.node = element("div", {}, element("dt", {}, name), element("dd", {}, this.#value, this.#note));
  }

  show(text: string | readonly [string, string]): void {
    const [value, note] = typeof text === "string" ? [text, ""] : text;
    setText(this.#value, value);
    setText(this.#note, note);
  }
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith(".") ? "" : "."}`;
}

/** One end of a migration. */
class EndCard {
  readonly node: HTMLElement;
  readonly #name = element("strong", {});
  readonly #state = element("span", { class: "pill" });
  readonly #where = element("span", { class: "quiet" });

  constructor(role: string) {
    this.node = element(
      "div",
      { class: "end", role: "group", "aria-label": role },
      element("span", { class: "role" }, role),
      element("span", { class: "line" }, this.#name, this.#state),
      this.#where,
    );
  }

  /** @param target where the guest is sent, if its other end is not on this page. */
  render(guest: GuestView | undefined, target: string | null | undefined): void {
    setHidden(this.#state, guest === undefined);
    if (guest === undefined) {
      setText(this.#name, target ?? "none yet");
      setText(this.#where, target == null ? "" : "not on this dashboard");
      return;
    }
    const { text, tone } = guestState(guest);
    setText(this.#name, guest.name);
    setText(this.#state, text);
    setAttribute(this.#state, "data-tone", tone);
    const arrived =
      guest.arrival === null || guest.arrival.received === 0
        ? ""
        : `, ${formatSize(guest.arrival.received)} came`;
    setText(this.#where, `${guest.place}, process ${guest.pid}${arrived}`);
  }
}
