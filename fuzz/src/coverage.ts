import { readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { pathToFileURL } from "node:url";
import type { ScriptCoverage } from "../../packages/protocol/fuzz/coverage-recorder.ts";

/** How much of a file has run. */
export interface FileCoverage {
  readonly file: string;
  /** Lines that have code, and how many of them have run. */
  readonly lines: number;
  readonly linesReached: number;
  readonly functions: number;
  readonly functionsReached: number;
}

interface Line {
  readonly start: number;
  readonly end: number;
}

/** Adds up what several threads have run of some files. */
export class Coverage {
  readonly #files: readonly OpenFile[];

  /** @param root URL of the folder that the paths are in. */
  constructor(root: URL, files: readonly string[]) {
    this.#files = files.map((file) => new OpenFile(file, new URL(file, root)));
  }

  add(scripts: readonly ScriptCoverage[]): void {
    for (const script of scripts) this.#files.find(({ url }) => url === script.url)?.add(script);
  }

  files(): FileCoverage[] {
    return this.#files.map((file) => file.coverage);
  }
}

class OpenFile {
  readonly url: string;
  readonly #file: string;
  /** The code without types, whose places are those of the source. */
  readonly #code: string;
  readonly #lines: readonly Line[];
  readonly #reached = new Set<Line>();
  /** Of functions: where they begin, and whether they have run. */
  readonly #functions = new Map<number, boolean>();

  constructor(file: string, url: URL) {
    this.#file = file;
    this.url = pathToFileURL(url.pathname).href;
    this.#code = stripTypeScriptTypes(readFileSync(url, "utf8"));
    this.#lines = codeLines(this.#code);
  }

  add({ functions }: ScriptCoverage): void {
    const missed = new Uint8Array(this.#code.length);
    for (const { ranges } of functions) {
      const [whole] = ranges;
      if (whole === undefined || whole.endOffset - whole.startOffset >= this.#code.length) continue;
      const hasRun = whole.count > 0 || this.#functions.get(whole.startOffset) === true;
      this.#functions.set(whole.startOffset, hasRun);
    }
    // What is in a range comes behind it, and says more.
    for (const { count, startOffset, endOffset } of functions.flatMap(({ ranges }) => ranges)) {
      missed.fill(count === 0 ? 1 : 0, startOffset, endOffset);
    }
    for (const line of this.#lines) if (missed[line.start] === 0) this.#reached.add(line);
  }

  get coverage(): FileCoverage {
    return {
      file: this.#file,
      lines: this.#lines.length,
      linesReached: this.#reached.size,
      functions: this.#functions.size,
      functionsReached: [...this.#functions.values()].filter(Boolean).length,
    };
  }
}

/** Lines with something that runs: no comments, brackets alone, or what were types. */
function codeLines(code: string): Line[] {
  const lines: Line[] = [];
  let at = 0;
  for (const text of code.split("\n")) {
    const trimmed = text.trim();
    const isComment = ["//", "/*", "*"].some((mark) => trimmed.startsWith(mark));
    if (!isComment && /\w/u.test(trimmed)) {
      lines.push({ start: at + text.indexOf(trimmed), end: at + text.length });
    }
    at += text.length + 1;
  }
  return lines;
}
