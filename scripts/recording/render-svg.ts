import type { Cast } from "./cast.ts";

const FONT = 13;
const COLUMN = 7.83;
const ROW = 19;
const MARGIN = 16;
const BAR = 28;

/** Lines that are seen at a time. */
const ROWS = 22;

/** Seconds: waiting is cut short to this, and the end is shown for so long before it begins anew. */
const LONGEST_WAIT = 1.5;
const END = 8;

interface Line {
  /** Seconds of the picture at which it appears. */
  readonly at: number;
  readonly text: string;
}

/**
 * A recording as a picture that moves by itself: a terminal in which lines appear and scroll. Who does not want motion
 * (`prefers-reduced-motion`) sees its end. The times that the program prints are those of its clock; waiting is cut short.
 */
export function renderSvg(cast: Cast): string {
  const lines = linesOf(cast);
  const last = lines.at(-1)?.at ?? 0;
  const total = last + END;
  const width = Math.ceil(cast.width * COLUMN) + 2 * MARGIN;
  const height = BAR + ROWS * ROW + MARGIN;
  const percent = (at: number): string => `${((100 * at) / total).toFixed(2)}%`;
  const scrolls = lines.flatMap(({ at }, index) => (index < ROWS ? [] : [{ at, rows: index - ROWS + 1 }]));
  const scrollFrames = [
    "0%{transform:translateY(0)}",
    ...scrolls.map(({ at, rows }) => `${percent(at)}{transform:translateY(${-rows * ROW}px)}`),
    `100%{transform:translateY(${-(scrolls.at(-1)?.rows ?? 0) * ROW}px)}`,
  ];
  const appear = lines.map(
    ({ at }, index) => `@keyframes a${index}{0%{opacity:0}${percent(at)}{opacity:1}100%{opacity:1}}`,
  );
  const style = [
    `text{font:${FONT}px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d6deeb;white-space:pre}`,
    ".t{fill:#8a9ab0}.a{fill:#82aaff}.b{fill:#7fdbca}.g{fill:#addb67}",
    `.s{animation:s ${total.toFixed(1)}s step-end infinite}`,
    `@keyframes s{${scrollFrames.join("")}}`,
    ...appear,
    ...lines.map((_, index) => `#l${index}{animation:a${index} ${total.toFixed(1)}s step-end infinite}`),
    `@media (prefers-reduced-motion:reduce){.s,.s text{animation:none!important}.s{transform:translateY(${
      -(scrolls.at(-1)?.rows ?? 0) * ROW
    }px)}}`,
  ].join("\n");
  const rows = lines.map(({ text }, index) => {
    const y = BAR + (index + 1) * ROW;
    const kind = classOf(text);
    return `<text id="l${index}" x="${MARGIN}" y="${y}"${kind === "" ? "" : ` class="${kind}"`}>${escaped(text)}</text>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img">
<title>${escaped(cast.title)}</title>
<style>
${style}
</style>
<clipPath id="c"><rect x="0" y="${BAR}" width="${width}" height="${height - BAR - 4}"/></clipPath>
<rect width="${width}" height="${height}" rx="8" fill="#0b1622"/>
<text x="${MARGIN}" y="19" class="t">$ ${escaped(cast.title)}</text>
<g clip-path="url(#c)"><g class="s">
${rows.join("\n")}
</g></g>
</svg>
`;
}

/** Whole lines, folded where they are too long, at the moments at which they were complete. */
function linesOf({ events, width }: Cast): Line[] {
  const lines: Line[] = [];
  let begun = "";
  let shown = 0;
  let before = 0;
  for (const { at, text } of events) {
    shown += Math.min(at - before, LONGEST_WAIT);
    before = at;
    const parts = (begun + text).split("\n");
    begun = parts.pop()!;
    for (const part of parts) lines.push(...folded(part, width).map((line) => ({ at: shown, text: line })));
  }
  return lines;
}

function folded(line: string, width: number): string[] {
  const indent = /^ *\d+\.\d+ s .  /u.exec(line)?.[0].length ?? 0;
  const rows: string[] = [];
  let rest = line;
  while (rest.length > width) {
    const blank = rest.lastIndexOf(" ", width);
    const cut = blank > indent ? blank : width;
    rows.push(rest.slice(0, cut));
    rest = " ".repeat(indent) + rest.slice(cut).trimStart();
  }
  return [...rows, rest];
}

/** Which process it is about. */
function classOf(line: string): string {
  if (line.startsWith("The joined output")) return "g";
  return { A: "a", B: "b" }[/^ *\d+\.\d+ s  (?<who>[AB])/u.exec(line)?.groups?.["who"] ?? ""] ?? "";
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
