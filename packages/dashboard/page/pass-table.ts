import { formatSize } from "@peregrine/shared-state/units";
import type { PassView } from "../src/guest-view.ts";
import { element, setChildren, setHidden, setText } from "./dom.ts";
import { rate, time } from "./format.ts";

const TITLES = ["Pass", "To send", "On the wire", "Time", "Rate", "Dirty rate"];

/** Pass by pass, the last one on top. */
export class PassTable {
  readonly node: HTMLElement;
  readonly #body = element("tbody", {});
  readonly #rows = new Map<number, readonly HTMLElement[]>();
  readonly #table: HTMLElement;
  readonly #empty = element("p", { class: "quiet" }, "There are none yet.");

  constructor() {
    const heads = TITLES.map((title) => element("th", { scope: "col" }, title));
    this.#table = element(
      "div",
      { class: "scroll", tabindex: "0", role: "region", "aria-labelledby": "passes-title" },
      element("table", {}, element("thead", {}, element("tr", {}, ...heads)), this.#body),
    );
    this.node = element(
      "section",
      { class: "card" },
      element("h2", { id: "passes-title" }, "Passes"),
      this.#table,
      this.#empty,
    );
  }

  render(passes: readonly PassView[]): void {
    const numbers = new Set(passes.map(({ pass }) => pass));
    for (const pass of this.#rows.keys()) if (!numbers.has(pass)) this.#rows.delete(pass);
    const rows = passes.map((pass) => this.#row(pass)).reverse();
    setChildren(this.#body, rows);
    setHidden(this.#table, passes.length === 0);
    setHidden(this.#empty, passes.length > 0);
  }

  #row(pass: PassView): HTMLElement {
    const cells = this.#rows.get(pass.pass) ?? [
      element("th", { scope: "row" }),
      ...TITLES.slice(1).map(() => element("td", {})),
    ];
    this.#rows.set(pass.pass, cells);
    const texts = [
      pass.isPresent ? `${pass.pass} (now)` : String(pass.pass),
      formatSize(pass.total),
      formatSize(pass.sent),
      time(pass.time),
      pass.time > 0 ? rate((pass.sent / pass.time) * 1000) : "–",
      rate(pass.dirtyRate),
    ];
    for (const [index, text] of texts.entries()) setText(cells[index]!, text);
    return cells[0]!.parentElement ?? element("tr", {}, ...cells);
  }
}
