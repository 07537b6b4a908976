/** How a page came. */
export type Arrival = "plain" | "zero" | "delta" | "compressed";

/** What records of pages were counted. Bytes are those of the stream, each record with its head. */
export interface PageCounts {
  /** Pages that came whole. */
  pages: number;
  /** Pages filled with one byte. */
  zeroPages: number;
  /** Pages that came as XBZRLE deltas. */
  deltas: number;
  deltaBytes: number;
  /** Pages compressed one by one with zlib. */
  compressedPages: number;
  compressedBytes: number;
  /** Of all of these, pages that the receiver had already. */
  repeats: number;
  /** Of the deltas, those for pages that the receiver did not have. */
  deltasWithoutPage: number;
  bytes: number;
}

export function noPages(): PageCounts {
  return {
    pages: 0,
    zeroPages: 0,
    deltas: 0,
    deltaBytes: 0,
    compressedPages: 0,
    compressedBytes: 0,
    repeats: 0,
    deltasWithoutPage: 0,
    bytes: 0,
  };
}

/** Records of pages of every kind. */
export function recordsIn({ pages, zeroPages, deltas, compressedPages }: PageCounts): number {
  return pages + zeroPages + deltas + compressedPages;
}

/** Counts one record. @param present whether the receiver had the page already. */
export function countPage(counts: PageCounts, arrival: Arrival, present: boolean, bytes: number): void {
  counts.bytes += bytes;
  if (present) counts.repeats += 1;
  switch (arrival) {
    case "plain":
      counts.pages += 1;
      return;
    case "zero":
      counts.zeroPages += 1;
      return;
    case "delta":
      counts.deltas += 1;
      counts.deltaBytes += bytes;
      if (!present) counts.deltasWithoutPage += 1;
      return;
    case "compressed":
      counts.compressedPages += 1;
      counts.compressedBytes += bytes;
  }
}

/** Adds `from` to `to`. */
export function addCounts(to: PageCounts, from: PageCounts): void {
  for (const key of Object.keys(from) as (keyof PageCounts)[]) to[key] += from[key];
}
