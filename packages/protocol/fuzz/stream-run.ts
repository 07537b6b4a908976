import {
  BLOCK_SECTION,
  BlockDecoder,
  DIRTY_BITMAP_SECTION,
  DirtyBitmapDecoder,
  RamDecoder,
  StreamDecoder,
  unknownSection,
} from "../src/index.ts";
import type { MigrationError } from "../src/index.ts";
import type {
  BlockSink,
  Command,
  Configuration,
  DirtyBitmapRecord,
  Limits,
  ListedRamBlock,
  OpaqueDevice,
  PageEncoding,
  PayloadDecoder,
  RamSink,
  SectionHeader,
  StreamHandler,
} from "../src/index.ts";
import { chunked } from "../test/support.ts";
import { CallLog, require, requireRefusal } from "./oracle.ts";
import type { Outcome } from "./oracle.ts";

/** How a stream is decoded. */
interface StreamForm {
  readonly configuration: "required" | "optional";
  readonly footers: "required" | "detected";
  /** Whether device sections that cannot be told apart are taken together. */
  readonly undivided: boolean;
  /** The decoder is suspended at every so many calls; 0: never. */
  readonly suspendAt: number;
  /** Whether the decoder is asked behind every chunk if the stream may end there. */
  readonly settle: boolean;
  /** Device sections whose length the handler knows. */
  readonly known: ReadonlyMap<string, number>;
  readonly limits: Limits;
}

/** Just enough for the recordings, so that mutated ones go beyond them. */
export const LIMITS: Limits = {
  maxMachineTypeBytes: 64,
  maxCapabilities: 4,
  maxOpenSections: 4,
  maxItemBytes: 65_536,
  maxCommandBytes: 512,
  maxPackageBytes: 65_536,
  maxDeviceTailBytes: 163_840,
  maxDeviceBytes: 163_840,
  maxVmDescriptionBytes: 131_072,
  maxRamBlocks: 16,
  maxRamBytes: 64 * 1024 * 1024,
  maxReturnMessageBytes: 512,
  maxReceivedBitmapBytes: 8192,
};

/** Takes every stream that there is. */
export const ANY_FORM: StreamForm = {
  configuration: "optional",
  footers: "detected",
  undivided: true,
  suspendAt: 0,
  settle: false,
  known: new Map(),
  limits: { ...LIMITS, maxItemBytes: 2 ** 21 },
};

const PAGE = new Uint8Array(4096);

/** Knows all sections with a format of their own, and takes every other one as a device. */
class Handler implements StreamHandler, RamSink, BlockSink {
  readonly log: CallLog;
  readonly decoder: StreamDecoder;
  /** Where the last item ended that was complete. */
  lastAt = 0;
  readonly lengths = new Map<string, number>();
  readonly #form: StreamForm;
  readonly #block = new BlockDecoder(this);
  readonly #bitmaps: DirtyBitmapDecoder;
  #ram: RamDecoder | undefined;
  #capabilities: readonly string[] = [];

  constructor(form: StreamForm, inputBytes: number) {
    this.#form = form;
    this.log = new CallLog(inputBytes);
    const { configuration, footers, limits } = form;
    this.decoder = new StreamDecoder({ limits, handler: this, configuration, footers });
    this.#bitmaps = new DirtyBitmapDecoder({ limits, record: (one) => this.#bitmap(one) });
  }

  configuration(configuration: Configuration): void {
    // The small stream with one of everything names capabilities that it does not have.
    if (configuration.machineType !== "wasm-1") this.#capabilities = configuration.capabilities ?? [];
    this.#add("configuration", JSON.stringify(configuration));
  }

  open(header: SectionHeader): PayloadDecoder | OpaqueDevice {
    this.#add("open", JSON.stringify(header));
    if (header.name === "ram") return this.#ramDecoder();
    if (header.name === BLOCK_SECTION.name) return this.#block;
    if (header.name === DIRTY_BITMAP_SECTION.name) return this.#bitmaps;
    if (header.kind === "start") throw unknownSection(header.name, header.instance);
    const known = this.#form.known.get(`${header.name} ${header.instance}`);
    if (known !== undefined) return this.#knownDevice(header, known);
    const device: OpaqueDevice = { payload: (payload) => this.#device(header, payload) };
    if (!this.#form.undivided) return device;
    return { ...device, undivided: (bytes) => this.#add("undivided", "", bytes) };
  }

  part(header: SectionHeader): void {
    this.#add("part", `${header.kind} ${header.id}`);
  }

  payloadEnd(header: SectionHeader): void {
    this.#add("payload end", header.name);
  }

  close(header: SectionHeader): void {
    this.#add("close", header.name);
  }

  command(command: Command): void {
    this.#add("command", JSON.stringify(command));
  }

  packageEnd(): void {
    this.#add("package end");
  }

  endMark(): void {
    this.#add("end mark");
  }

  vmDescription(text: string): void {
    this.#add("vmdescription", text);
  }

  mappedBlock(block: number, entry: ListedRamBlock): void {
    this.#add("mapped block", `${block} ${JSON.stringify(entry)}`);
  }

  blockList(blocks: readonly ListedRamBlock[]): void {
    this.#add("block list", JSON.stringify(blocks));
  }

  zeroPage(block: number, offset: number, fill: number): void {
    this.#add("zero", `${block} ${offset} ${fill}`);
  }

  page(block: number, offset: number, bytes: Uint8Array): void {
    require(bytes.length === 4096 && offset % 4096 === 0, `a page of ${bytes.length} bytes at ${offset}`);
    this.#add("page", `${block} ${offset}`, bytes);
  }

  presentPage(): Uint8Array {
    return PAGE;
  }

  encodedPage(block: number, offset: number, encoding: PageEncoding, data: Uint8Array): boolean {
    this.#add(encoding, `${block} ${offset}`, data);
    return true;
  }

  multifdFlush(): boolean {
    this.#add("flush");
    this.decoder.suspend();
    return false;
  }

  chunk(disk: string, offset: number, bytes: Uint8Array): boolean {
    this.#add("chunk", `${disk} ${offset}`, bytes);
    this.decoder.suspend();
    return false;
  }

  zeroChunk(disk: string, offset: number): boolean {
    this.#add("zero chunk", `${disk} ${offset}`);
    return true;
  }

  progress(percent: number): void {
    this.#add("progress", String(percent));
  }

  #ramDecoder(): RamDecoder {
    this.#ram ??= new RamDecoder({
      limits: this.#form.limits,
      sink: this,
      inflate: (data, size) => PAGE.subarray(0, data[0] === 0 ? size - 1 : size),
      blockListForm: {
        addresses: this.#capabilities.includes("x-ignore-shared"),
        mapped: this.#capabilities.includes("mapped-ram"),
        carriesPageSize: (name) => name.startsWith("huge"),
      },
    });
    return this.#ram;
  }

  #knownDevice(header: SectionHeader, length: number): PayloadDecoder {
    return {
      decode: (input) => {
        if (input.available < length) return false;
        this.#device(header, input.view(length));
        return true;
      },
    };
  }

  #device({ name, instance }: SectionHeader, payload: Uint8Array): void {
    this.lengths.set(`${name} ${instance}`, payload.length);
    this.#add("device", `${name} ${instance}`, payload);
  }

  #bitmap(record: DirtyBitmapRecord): void {
    const { kind, node, bitmap } = record;
    this.#add(`${kind} ${node} ${bitmap}`, "", "bits" in record ? record.bits : undefined);
  }

  #add(what: string, detail = "", bytes?: Uint8Array): void {
    this.log.add(this.decoder.offset, what, detail, bytes);
    // These may still be refused, at their first byte.
    if (!["open", "xbzrle", "zlib"].includes(what)) this.lastAt = this.decoder.offset;
    const { suspendAt } = this.#form;
    if (suspendAt > 0 && this.log.calls % suspendAt === 0) this.decoder.suspend();
  }
}

/** What a run tells of its input. */
interface StreamRun extends Outcome {
  /** Bytes of its device sections. */
  readonly lengths: ReadonlyMap<string, number>;
}

/** Decodes a stream in chunks of these sizes, and what is left of it at once. Errors: {@link Violation}; a crash as it is. */
export function runStream(bytes: Uint8Array, sizes: readonly number[], form: StreamForm): StreamRun {
  const handler = new Handler(form, bytes.length);
  const { decoder, lengths, log } = handler;
  let pushed = 0;
  let error: MigrationError | undefined;
  try {
    for (const chunk of chunked(bytes, sizes)) {
      pushed += chunk.length;
      if (!decoder.push(chunk) || (form.settle && decoder.settle())) resume(handler);
      chunk.fill(0xee);
    }
    while (!decoder.end()) resume(handler);
    require(decoder.finished && decoder.offset === bytes.length, `an end at ${decoder.offset}`);
  } catch (thrown) {
    error = requireRefusal(thrown, handler.lastAt, pushed);
    requireRepeated(decoder, error);
  }
  return { log, error: error?.serialize(), lengths };
}

function resume({ decoder, log }: Handler): void {
  for (let calls = log.calls; !decoder.resume(); calls = log.calls) {
    require(log.calls > calls, "a decoder that is resumed and suspended without a call");
  }
}

function requireRepeated(decoder: StreamDecoder, error: MigrationError): void {
  for (const again of [() => decoder.push(new Uint8Array(1)), () => decoder.end(), () => decoder.resume()]) {
    try {
      again();
    } catch (repeated) {
      if (repeated === error) continue;
      throw repeated;
    }
    require(false, `a call after the error: ${error.message}`);
  }
}
