/** What happened in a run, with times, for whoever has to understand it. */
export class Diary {
  readonly #start = Date.now();
  readonly #entries: { readonly at: number; readonly text: string }[] = [];

  /** @param at ms since 1970. Default: now. */
  note(who: string, text: string, at = Date.now()): void {
    for (const line of text.trimEnd().split("\n")) this.#entries.push({ at, text: `${who}: ${line}` });
  }

  get text(): string {
    return this.#entries
      .toSorted((a, b) => a.at - b.at)
      .map(({ at, text }) => `  ${String(Math.round(at - this.#start)).padStart(6)} ms  ${text}`)
      .join("\n");
  }
}
