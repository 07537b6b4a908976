import { formatSize } from "@peregrine/shared-state/units";
import type { MemoryView } from "../src/messages.ts";
import { CELL_BYTES, describeCell, PAGE_SIZE, paint, sharesOf, STATES } from "./cells.ts";
import type { PageState, Rgb } from "./cells.ts";
import { element, setAttribute, setChildren, setHidden, setText } from "./dom.ts";
import { percent } from "./format.ts";
import { colour } from "./theme.ts";

/** Cells of a row. */
const COLUMNS = 128;

/** Guest memory: one small bitmap that the browser enlarges, a cell of a few pages for each of its pixels. */
export class HeatMap {
  readonly node: HTMLElement;
  readonly #canvas = element("canvas", {
    class: "heat-map",
    width: String(COLUMNS),
    height: "1",
    role: "img",
    tabindex: "0",
    "aria-label": "Guest memory",
    "aria-describedby": "cell",
  });
  readonly #shares: Readonly<Record<string, HTMLElement>>;
  readonly #cell = element("p", { id: "cell", class: "quiet cell", "aria-live": "polite" });
  readonly #blocks = element("p", { class: "quiet" });
  readonly #empty = element("p", { class: "quiet" }, "It is shown when the guest has begun to migrate.");
  readonly #shown: HTMLElement;
  #colours = coloursOf();
  #memory: MemoryView | null = null;
  #revision = -1;
  #cursor: number | undefined;

  constructor() {
    const entries = STATES.map(({ name, label }) => {
      const share = element("output", {});
      return { name, share, item: element("li", { "data-colour": name }, `${label} `, share) };
    });
    this.#shares = Object.fromEntries(entries.map(({ name, share }) => [name, share]));
    this.#shown = element(
      "div",
      {},
      this.#canvas,
      element("ul", { class: "keys" }, ...entries.map(({ item }) => item)),
      this.#cell,
      this.#blocks,
    );
    this.node = element(
      "section",
      { class: "card", "aria-labelledby": "memory-title" },
      element("h2", { id: "memory-title" }, "Memory"),
    );
    setChildren(this.node, [this.node.firstElementChild as HTMLElement, this.#shown, this.#empty]);
    this.#canvas.addEventListener("pointermove", (event) => this.#point(event));
    this.#canvas.addEventListener("pointerleave", () => this.#select(undefined));
    this.#canvas.addEventListener("keydown", (event) => this.#onKey(event));
    this.restyle();
  }

  /** The colours have changed. */
  restyle(): void {
    this.#colours = coloursOf();
    this.#draw();
  }

  render(memory: MemoryView | null, revision: number): void {
    if (revision === this.#revision) return;
    this.#revision = revision;
    this.#memory = memory;
    this.#draw();
  }

  #draw(): void {
    const memory = this.#memory;
    setHidden(this.#shown, memory === null);
    setHidden(this.#empty, memory !== null);
    if (memory === null) return;
    const count = memory.cells.length / CELL_BYTES;
    const rows = Math.max(Math.ceil(count / COLUMNS), 1);
    if (this.#canvas.height !== rows) this.#canvas.height = rows;
    const context = this.#canvas.getContext("2d")!;
    const image = context.createImageData(COLUMNS, rows);
    paint(image.data, memory.cells, this.#colours);
    context.putImageData(image, 0, 0);
    this.#describe(memory);
    this.#tell();
  }

  #describe({ cells, blocks, pagesPerCell }: MemoryView): void {
    const shares = sharesOf(cells);
    for (const { name } of STATES) setText(this.#shares[name]!, percent(shares[name]));
    const words = STATES.map(({ name, label }) => `${percent(shares[name])} ${label}`).join(", ");
    setAttribute(this.#canvas, "aria-label", `Guest memory: ${words}`);
    const what = blocks.map(({ name, pages }) => `${name} ${formatSize(pages * PAGE_SIZE)}`).join(", ");
    setText(this.#blocks, `${what}; a cell is ${formatSize(pagesPerCell * PAGE_SIZE)}`);
  }

  #point(event: PointerEvent): void {
    const { width, height } = this.#canvas.getBoundingClientRect();
    const column = Math.floor((event.offsetX / width) * COLUMNS);
    const row = Math.floor((event.offsetY / height) * this.#canvas.height);
    this.#select(row * COLUMNS + column);
  }

  #onKey(event: KeyboardEvent): void {
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS }[event.key];
    if (event.key === "Escape") this.#select(undefined);
    if (step === undefined) return;
    event.preventDefault();
    this.#select(this.#cursor === undefined ? 0 : this.#cursor + step);
  }

  #select(cell: number | undefined): void {
    const count = (this.#memory?.cells.length ?? 0) / CELL_BYTES;
    this.#cursor = cell === undefined || count === 0 ? undefined : Math.min(Math.max(cell, 0), count - 1);
    this.#tell();
  }

  #tell(): void {
    if (this.#memory === null || this.#cursor === undefined) {
      setText(this.#cell, "Point at a cell, or use the arrow keys.");
      return;
    }
    setText(this.#cell, describeCell(this.#memory, this.#cursor));
  }
}

function coloursOf(): Readonly<Record<PageState, Rgb>> {
  return Object.fromEntries(STATES.map(({ name }) => [name, rgbOf(colour(name))])) as Record<PageState, Rgb>;
}

function rgbOf(text: string): Rgb {
  const value = Number.parseInt(text.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}
