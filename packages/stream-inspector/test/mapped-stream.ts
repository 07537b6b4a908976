import {
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeRamBlockEntry,
  encodeRamTotal,
  encodeSectionContinuation,
  encodeSectionHeader,
  MAPPED_RAM_HEADER_BYTES,
  mappedBitmapBytes,
  placeMappedBlock,
  RamPageEncoder,
  setMappedPage,
} from "@peregrine/protocol";
import { PAGE, pageOf, RAM_ID, written } from "./small-stream.ts";

/** A mapped-ram stream that begins at `offset` of its file. Its block has a page that is zero, and one that is not. */
export function mappedStream(offset: number): Uint8Array {
  return written((w) => {
    const encoder = new RamPageEncoder();
    const entry = { name: "pc.ram", length: 2 * PAGE };
    const padTo = (end: number): void => w.bytes(new Uint8Array(end - offset - w.length));
    encodeHeader(w);
    encodeConfiguration(w, { machineType: "pc-test", capabilities: ["mapped-ram"] });
    encodeSectionHeader(w, { kind: "start", id: RAM_ID, name: "ram", instance: 0, version: 4 });
    encodeRamTotal(w, [entry]);
    const headerAt = offset + w.length + 1 + entry.name.length + 8;
    const { header, end } = placeMappedBlock(headerAt, entry.length);
    encodeRamBlockEntry(w, { ...entry, mapped: header });
    if (offset + w.length !== headerAt + MAPPED_RAM_HEADER_BYTES) throw new Error("the header is elsewhere");
    const bitmap = new Uint8Array(mappedBitmapBytes(entry.length));
    setMappedPage(bitmap, 1, true);
    w.bytes(bitmap);
    padTo(header.pagesOffset + PAGE);
    w.bytes(pageOf(1));
    padTo(end);
    encoder.endOfSection(w);
    encodeFooter(w, RAM_ID);
    encodeSectionContinuation(w, { kind: "end", id: RAM_ID });
    encoder.endOfSection(w);
    encodeFooter(w, RAM_ID);
    encodeEndMark(w);
  });
}
