import type { Command } from "@peregrine/protocol";
import type { InspectEvent, PageCounts, SectionEvent } from "@peregrine/stream-inspector";
import { expect, test } from "vitest";
import { SectionLines } from "./section-lines.ts";

/** The lines without what they are indented by, and with one space between columns. */
function linesOf(...events: readonly InspectEvent[]): string[] {
  const lines: string[] = [];
  const sections = new SectionLines((line) => lines.push(line.trim().replaceAll(/ +/gu, " ")));
  for (const event of events) sections.add(event);
  sections.end();
  return lines;
}

function command(given: Command, packaged = false): InspectEvent {
  return { item: "command", offset: 10, size: 5, command: given, packaged };
}

function part(id: number, ram?: Partial<PageCounts>): SectionEvent {
  const counts: PageCounts = {
    pages: 0,
    zeroPages: 0,
    deltas: 0,
    deltaBytes: 0,
    compressedPages: 0,
    compressedBytes: 0,
    repeats: 0,
    deltasWithoutPage: 0,
    bytes: 0,
    ...ram,
  };
  return {
    item: "section",
    offset: 100 * id,
    size: 30,
    kind: "part",
    id,
    name: ram === undefined ? "block" : "ram",
    instance: 0,
    version: 4,
    payloadBytes: 20,
    footer: true,
    packaged: false,
    ...(ram === undefined ? {} : { ram: counts }),
  };
}

test.each<[Command, string]>([
  [{ kind: "open-return-path" }, "OPEN_RETURN_PATH"],
  [{ kind: "ping", value: 3 }, "PING 3"],
  [{ kind: "postcopy-advise" }, "POSTCOPY_ADVISE dirty bitmaps only"],
  [
    { kind: "postcopy-advise", pageSizes: { summary: 0x201000, target: 4096 } },
    "POSTCOPY_ADVISE pages of 4096 bytes, page sizes 0x201000",
  ],
  [
    { kind: "postcopy-ram-discard", block: "pc.ram", ranges: [{ start: 0, length: 4096 }] },
    "POSTCOPY_RAM_DISCARD 1 range of 'pc.ram'",
  ],
  [{ kind: "packaged", length: 700 }, "PACKAGED 700 bytes"],
  [{ kind: "recv-bitmap", block: "pc.ram" }, "RECV_BITMAP of 'pc.ram'"],
  [{ kind: "other", code: 77, payload: new Uint8Array(2) }, "OTHER code 77, 2 bytes"],
])("command %j", (given, text) => {
  expect(linesOf(command(given))).toEqual([`10 5 command ${text}`]);
});

test("parts of one section that follow each other are one line", () => {
  expect(
    linesOf(
      part(1, { pages: 2, zeroPages: 1 }),
      part(1, { pages: 1, deltas: 4 }),
      part(2),
      part(1, { compressedPages: 1 }),
    ),
  ).toEqual([
    "100 60 part x2 ram 3 pages, 1 zero page, 4 deltas",
    "200 30 part block",
    "100 30 part ram 1 compressed page",
  ]);
});

test("what could not be read or told apart has a line", () => {
  expect(
    linesOf(
      { item: "undivided", offset: 5, size: 900, name: "timer", instance: 0 },
      { item: "package-end", offset: 905 },
      { item: "unfinished", offset: 905, size: 3, section: "cpu" },
    ),
  ).toEqual([
    "5 900 full timer and all that follow it; nothing tells where they end",
    "905 end of the package",
    "905 3 ... cpu not complete",
  ]);
});

test("a configuration has all that is in it", () => {
  const configuration: InspectEvent = {
    item: "configuration",
    offset: 8,
    size: 60,
    machineType: "q35",
    targetPageBits: 12,
    capabilities: ["a", "b"],
    uuid: "u",
  };
  expect(linesOf(configuration)).toEqual(["8 60 config q35 page bits 12, capabilities a, b, uuid u"]);
});
