import { ByteWriter, DEFAULT_LIMITS, MigrationError, RamDecoder, StreamDecoder } from "../src/index.ts";
import type {
  ByteReader,
  Command,
  Configuration,
  Limits,
  PayloadDecoder,
  RamBlockEntry,
  RamSink,
  SectionHeader,
  StreamDecoderOptions,
  StreamHandler,
} from "../src/index.ts";

/** What a write to a fresh writer produces. */
export function written(write: (w: ByteWriter) => void): Uint8Array {
  const w = new ByteWriter();
  write(w);
  return w.view().slice();
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "hex"));
}

/** Copies of the bytes, cut after each of the given lengths; what is left is the last chunk. */
export function chunked(bytes: Uint8Array, lengths: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (const length of lengths) {
    if (at >= bytes.length) break;
    chunks.push(new Uint8Array(bytes.subarray(at, at + length)));
    at += length;
  }
  if (at < bytes.length) chunks.push(new Uint8Array(bytes.subarray(at)));
  return chunks;
}

/** The MigrationError that the action throws; anything else fails the test. */
export function refusal(action: () => void): MigrationError {
  try {
    action();
  } catch (error) {
    if (MigrationError.is(error)) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

export type Event =
  | { readonly configuration: Configuration }
  | { readonly open: SectionHeader }
  | { readonly close: SectionHeader }
  | { readonly command: Command }
  | { readonly blocks: readonly RamBlockEntry[] }
  | { readonly zero: readonly [block: number, offset: number, fill: number] }
  | { readonly page: readonly [block: number, offset: number, hex: string] }
  | { readonly opaque: string }
  | { readonly vmDescription: string }
  | "end mark";

/** Reads a be32 length and that many bytes, as they come. */
class OpaqueDecoder implements PayloadDecoder {
  readonly #done: (hex: string) => void;
  #left = -1;
  #hex = "";

  constructor(done: (hex: string) => void) {
    this.#done = done;
  }

  decode(input: ByteReader): boolean {
    if (this.#left < 0) {
      if (input.available < 4) return false;
      this.#left = input.be32();
    }
    while (this.#left > 0 && input.available > 0) {
      const some = input.some(this.#left);
      this.#hex += toHex(some);
      this.#left -= some.length;
    }
    if (this.#left > 0) return false;
    this.#done(this.#hex);
    return true;
  }
}

/** Writes down every call. Knows the section `ram`; every other one is a length and bytes. */
export class Recorder implements StreamHandler, RamSink {
  readonly events: Event[] = [];
  readonly #ram: RamDecoder;

  constructor(limits: Limits) {
    this.#ram = new RamDecoder({ limits, sink: this });
  }

  record(event: Event): void {
    this.events.push(event);
  }

  configuration(configuration: Configuration): void {
    this.record({ configuration });
  }

  open(header: SectionHeader): PayloadDecoder {
    this.record({ open: header });
    return header.name === "ram" ? this.#ram : new OpaqueDecoder((opaque) => this.record({ opaque }));
  }

  close(header: SectionHeader): void {
    this.record({ close: header });
  }

  command(command: Command): void {
    this.record({ command });
  }

  endMark(): void {
    this.record("end mark");
  }

  vmDescription(text: string): void {
    this.record({ vmDescription: text });
  }

  blockList(blocks: readonly RamBlockEntry[]): void {
    this.record({ blocks: [...blocks] });
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.record({ zero: [block, offset, fill] });
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    this.record({ page: [block, offset, toHex(bytes)] });
  }
}

/** Decodes a whole stream given in chunks; each chunk is overwritten once the decoder has let go of it. */
export function decodeAll(
  chunks: readonly Uint8Array[],
  options: Partial<Omit<StreamDecoderOptions, "handler">> = {},
  recorder = new Recorder(options.limits ?? DEFAULT_LIMITS),
): Event[] {
  const limits = options.limits ?? DEFAULT_LIMITS;
  const decoder = new StreamDecoder({ ...options, limits, handler: recorder });
  for (const chunk of chunks) {
    const free = decoder.push(chunk);
    if (free) chunk.fill(0xee);
  }
  decoder.end();
  return recorder.events;
}
