/** What happened in a run, with times, for whoever has to understand it. */
export class Diary {
  readonly #start = Date.now();
  readonly #entries: { readonly at: number; readonly text: string }[] = [];

  note(who: string, text: string): void {
    const at = Date.now() - this.#start;
    for (const line of text.trimEnd().split("\n")) this.#entries.push({ at, text: `${who}: ${line}` });
  }

  get text(): string {
    return this.#entries.map(({ at, text }) => `  ${String(at).padStart(6)} ms  ${text}`).join("\n");
  }
}
