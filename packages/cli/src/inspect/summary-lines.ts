import { missingPages } from "@peregrine/stream-inspector";
import type { LibvirtImage, PageCounts, StreamFiles, StreamSummary } from "@peregrine/stream-inspector";
import { formatSize } from "@peregrine/shared-state";
import { counted, tableLines } from "./table.ts";

/** What the files are, before anything of the stream is read. */
export function fileLines({ main, channels }: StreamFiles): string[] {
  return [
    `stream         ${main.name}${packing(main.compression)}`,
    ...channels.map(({ name, compression }) => `channel        ${name}${packing(compression)}`),
    ...(main.libvirt === undefined ? [] : libvirtLines(main.libvirt)),
  ];
}

function packing(compression: string | undefined): string {
  return compression === undefined ? "" : `, ${compression}`;
}

function libvirtLines(image: LibvirtImage): string[] {
  const { complete, version, format, wasRunning, domain, uuid, streamOffset, hasCookie } = image;
  const details = [
    `version ${version}`,
    format,
    wasRunning ? "was running" : "was paused",
    ...(hasCookie ? ["with a cookie"] : []),
    `the stream begins at byte ${streamOffset}`,
  ];
  return [
    `libvirt        save image of domain '${domain ?? "?"}'${uuid === undefined ? "" : ` (${uuid})`}`,
    `               ${details.join(", ")}`,
    ...(complete ? [] : ["               libvirt had not finished it"]),
  ];
}

/** What the whole stream was, after everything of it was read. */
export function summaryLines(summary: StreamSummary): string[] {
  const { bytes, sections, devices, machineType, runState } = summary;
  return [
    `size           ${bytes} bytes (${formatSize(bytes)}), ${counted(sections, "section")}, ${counted(devices, "device")}`,
    `machine type   ${machineType ?? "not in the stream"}`,
    `run state      ${runState ?? "not in the stream"}`,
    `framing        ${framing(summary)}`,
    ...memoryLines(summary),
    ...channelLines(summary),
    ...diskLines(summary),
    ...(summary.undivided
      ? ["", "Nothing tells the device sections apart, nor whether the last of them is complete."]
      : []),
  ];
}

function framing({ configuration, footers, vmDescription, complete }: StreamSummary): string {
  if (footers === undefined) return "not known: no section is complete";
  const has = (part: string, there: boolean): string => (there ? part : `no ${part}`);
  const parts = [
    has("configuration", configuration),
    has("footers", footers),
    // It comes last, so one that is cut off may have had it.
    ...(complete || vmDescription ? [has("vmdescription", vmDescription)] : []),
  ].join(", ");
  return configuration || footers ? parts : `${parts}: as machine types up to 2.3 have it`;
}

const COUNT_TITLES = ["PAGES", "ZERO", "DELTAS", "DELTA BYTES", "COMPRESSED", "REPEATS", "BYTES"];

function countCells(counts: PageCounts): string[] {
  const { pages, zeroPages, deltas, deltaBytes, compressedPages, repeats, bytes } = counts;
  return [pages, zeroPages, deltas, deltaBytes, compressedPages, repeats, bytes].map(String);
}

function memoryLines(summary: StreamSummary): string[] {
  const { blocks, passes, discardedPages, multifdFlushes, channels } = summary;
  if (blocks.length === 0) return [];
  const lines = [
    "",
    ...tableLines([
      ["RAM BLOCK", "SIZE", ...COUNT_TITLES, "MISSING"],
      ...blocks.map(({ name, bytes, counts, missingPages: missing }) => [
        name,
        formatSize(bytes),
        ...countCells(counts),
        String(missing),
      ]),
    ]),
    "",
    ...tableLines([
      ["PASS", ...COUNT_TITLES],
      ...passes.map(({ phase, passes: several, counts }, index) => [
        phase === "postcopy"
          ? phase
          : several === 1
            ? String(index + 1)
            : `${index + 1} and ${several - 1} more`,
        ...countCells(counts),
      ]),
    ]),
  ];
  if (discardedPages > 0) lines.push(`Postcopy took back ${counted(discardedPages, "page")}.`);
  const missing = missingPages(summary);
  if (channels.length === 0 && multifdFlushes > 0) {
    lines.push("Sent with multifd: the pages are on other channels; name their files, too.");
  } else if (channels.length === 0 && missing > 0 && summary.complete) {
    lines.push(
      `${counted(missing, "page")} never came. If it was sent with multifd, name the files of its channels, too.`,
    );
  }
  return lines;
}

function channelLines({ channels, multifdFlushes }: StreamSummary): string[] {
  if (channels.length === 0) return [];
  return [
    "",
    ...tableLines([
      ["CHANNEL", "PACKETS", "PAGES", "ZERO", "SYNCS", "COMPRESSION", "BYTES"],
      ...channels.map(({ channel, packets, pages, zeroPages, syncs, compression, bytes }) => [
        String(channel),
        ...[packets, pages, zeroPages, syncs].map(String),
        compression,
        String(bytes),
      ]),
    ]),
    multifdFlushes > 0
      ? `The main stream waits for them ${counted(multifdFlushes, "time")}.`
      : "The main stream waits for them behind every section of ram.",
  ];
}

function diskLines({ disks, bitmaps }: StreamSummary): string[] {
  const lines = disks.map(
    ({ name, chunks, zeroChunks }) =>
      `disk '${name}': ${counted(chunks, "chunk")} and ${counted(zeroChunks, "zero chunk")} of 1 MiB`,
  );
  for (const { node, bitmap, granularity, chunks, zeroChunks, complete } of bitmaps) {
    lines.push(
      `dirty bitmap '${bitmap}' of '${node}': granularity ${granularity}, ${counted(chunks, "chunk")} and ` +
        `${counted(zeroChunks, "zero chunk")}${complete ? "" : ", not complete"}`,
    );
  }
  return lines.length === 0 ? [] : ["", ...lines];
}
