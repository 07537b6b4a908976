import { ByteReader, DEFAULT_LIMITS, RamDecoder } from "../src/index.ts";
import type { ListedRamBlock, PageEncoding, RamDecoderOptions, RamSink } from "../src/index.ts";
import { toHex } from "./support.ts";

export type RamEvent =
  | { readonly mapped: readonly [block: number, entry: ListedRamBlock] }
  | { readonly blocks: readonly ListedRamBlock[] }
  | { readonly zero: readonly [block: number, offset: number, fill: number] }
  | { readonly page: readonly [block: number, offset: number, hex: string] }
  | { readonly encoded: readonly [encoding: PageEncoding, block: number, offset: number, hex: string] }
  | "flush";

/** Writes down every call, and keeps memory so that deltas have something to be applied to. */
export class RamRecorder implements RamSink {
  readonly events: RamEvent[] = [];
  readonly pages = new Map<string, Uint8Array>();

  mappedBlock(block: number, entry: ListedRamBlock): void {
    this.events.push({ mapped: [block, entry] });
  }

  blockList(blocks: readonly ListedRamBlock[]): void {
    this.events.push({ blocks: [...blocks] });
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.pages.set(`${block}:${offset}`, new Uint8Array(4096).fill(fill));
    this.events.push({ zero: [block, offset, fill] });
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.pages.set(`${block}:${offset}`, new Uint8Array(bytes));
    this.events.push({ page: [block, offset, toHex(bytes)] });
  }

  presentPage(block: number, offset: number): Uint8Array {
    return this.pages.get(`${block}:${offset}`) ?? new Uint8Array(4096);
  }

  encodedPage(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean {
    this.events.push({ encoded: [encoding, block, offset, toHex(data)] });
    return true;
  }

  multifdFlush(): boolean {
    this.events.push("flush");
    return true;
  }
}

/** Decodes one payload given in chunks. @returns whether it was complete. */
export function decodePayload(
  chunks: readonly Uint8Array[],
  sink: RamSink,
  options: Partial<Omit<RamDecoderOptions, "sink">> = {},
): boolean {
  const decoder = new RamDecoder({ limits: DEFAULT_LIMITS, ...options, sink });
  const reader = new ByteReader();
  let complete = false;
  for (const chunk of chunks) {
    const copy = chunk.slice();
    reader.push(copy);
    complete = !complete && decoder.decode(reader);
    reader.detach();
    copy.fill(0xee);
  }
  return complete && reader.available === 0;
}
