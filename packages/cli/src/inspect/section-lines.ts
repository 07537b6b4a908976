import type { CommandEvent, InspectEvent, PageCounts, SectionEvent } from "@peregrine/stream-inspector";
import { sectionName } from "@peregrine/stream-inspector";
import { counted } from "./table.ts";

const OFFSET_WIDTH = 14;
const SIZE_WIDTH = 12;
const KIND_WIDTH = 10;
const NAME_WIDTH = 26;

export const SECTION_TITLES = row("OFFSET", "SIZE", "KIND", "NAME", "");

/** Parts of a section that follow each other, as one line. */
interface Run {
  readonly first: SectionEvent;
  size: number;
  parts: number;
  pages: number;
  zeroPages: number;
  deltas: number;
  compressedPages: number;
}

/** Tells what is in a stream, a line for each thing in its order; parts of a section that follow each other are one. */
export class SectionLines {
  readonly #print: (line: string) => void;
  #run: Run | undefined;

  constructor(print: (line: string) => void) {
    this.#print = print;
  }

  add(event: InspectEvent): void {
    if (event.item === "section" && event.kind === "part") {
      this.#addPart(event);
      return;
    }
    this.end();
    for (const line of linesOf(event)) this.#print(line);
  }

  /** Prints what was held back. */
  end(): void {
    const run = this.#run;
    if (run === undefined) return;
    this.#run = undefined;
    const { first, size, parts } = run;
    const kind = parts === 1 ? "part" : `part x${parts}`;
    this.#print(row(first.offset, size, kind, nameOf(first), pagesText(run)));
  }

  #addPart(part: SectionEvent): void {
    if (this.#run?.first.id !== part.id) this.end();
    this.#run ??= {
      first: part,
      size: 0,
      parts: 0,
      pages: 0,
      zeroPages: 0,
      deltas: 0,
      compressedPages: 0,
    };
    const run = this.#run;
    run.size += part.size;
    run.parts += 1;
    if (part.ram === undefined) return;
    for (const key of ["pages", "zeroPages", "deltas", "compressedPages"] as const) run[key] += part.ram[key];
  }
}

function* linesOf(event: InspectEvent): Generator<string> {
  switch (event.item) {
    case "header":
      yield row(event.offset, event.size, "header", "", `version ${event.version}`);
      return;
    case "configuration":
      yield row(event.offset, event.size, "config", event.machineType, configurationText(event));
      return;
    case "section":
      yield row(event.offset, event.size, event.kind, nameOf(event), sectionText(event));
      return;
    case "command":
      yield row(event.offset, event.size, "command", commandName(event), commandText(event));
      return;
    case "package-end":
      yield row(event.offset, "", "", "end of the package", "");
      return;
    case "undivided":
      yield row(
        event.offset,
        event.size,
        "full",
        sectionName(event),
        "and all that follow it; nothing tells where they end",
      );
      return;
    case "end-mark":
      yield row(event.offset, event.size, "end", "of all sections", "");
      return;
    case "vmdescription":
      yield row(event.offset, event.size, "json", "vmdescription", counted(event.devices, "device"));
      return;
    case "unfinished":
      yield row(event.offset, event.size, "...", event.section ?? "", "not complete");
  }
}

function configurationText(event: InspectEvent & { readonly item: "configuration" }): string {
  const { targetPageBits, capabilities, uuid } = event;
  return [
    ...(targetPageBits === undefined ? [] : [`page bits ${targetPageBits}`]),
    ...(capabilities === undefined ? [] : [`capabilities ${capabilities.join(", ")}`]),
    ...(uuid === undefined ? [] : [`uuid ${uuid}`]),
  ].join(", ");
}

function nameOf(section: SectionEvent): string {
  return `${section.packaged ? "  " : ""}${sectionName(section)}`;
}

function sectionText({ kind, version, payloadBytes, cutBy, ram }: SectionEvent): string {
  if (cutBy !== undefined) return `version ${version}, ${counted(payloadBytes, "byte")}, by ${cutBy}`;
  const pages = ram === undefined ? "" : pagesText(ram);
  return kind === "start" ? [`version ${version}`, pages].filter(Boolean).join(", ") : pages;
}

function pagesText(counts: Pick<PageCounts, "pages" | "zeroPages" | "deltas" | "compressedPages">): string {
  const { pages, zeroPages, deltas, compressedPages } = counts;
  return [
    ...(pages === 0 ? [] : [counted(pages, "page")]),
    ...(zeroPages === 0 ? [] : [counted(zeroPages, "zero page")]),
    ...(deltas === 0 ? [] : [counted(deltas, "delta")]),
    ...(compressedPages === 0 ? [] : [counted(compressedPages, "compressed page")]),
  ].join(", ");
}

function commandName({ command, packaged }: CommandEvent): string {
  return `${packaged ? "  " : ""}${command.kind.toUpperCase().replaceAll("-", "_")}`;
}

function commandText({ command }: CommandEvent): string {
  switch (command.kind) {
    case "ping":
      return String(command.value);
    case "postcopy-advise":
      return command.pageSizes === undefined
        ? "dirty bitmaps only"
        : `pages of ${command.pageSizes.target} bytes, page sizes 0x${command.pageSizes.summary.toString(16)}`;
    case "postcopy-ram-discard":
      return `${counted(command.ranges.length, "range")} of '${command.block}'`;
    case "packaged":
      return counted(command.length, "byte");
    case "recv-bitmap":
      return `of '${command.block}'`;
    case "other":
      return `code ${command.code}, ${counted(command.payload.length, "byte")}`;
    default:
      return "";
  }
}

function row(
  offset: number | string,
  size: number | string,
  kind: string,
  name: string,
  text: string,
): string {
  const columns = [
    String(offset).padStart(OFFSET_WIDTH),
    String(size).padStart(SIZE_WIDTH),
    ` ${kind.padEnd(KIND_WIDTH)}`,
    name.padEnd(NAME_WIDTH),
    text,
  ];
  return columns.join(" ").trimEnd();
}
