import { ByteReader } from "./byte-reader.ts";
import { MigrationError } from "./errors.ts";
import type { PageKernel } from "./kernels/page-kernel.ts";
import {
  decodeMultifdDeviceState,
  decodeMultifdHead,
  decodeMultifdInit,
  decodeMultifdPages,
  MULTIFD_DEVICE_BODY_BYTES,
  MULTIFD_HEAD_BYTES,
  MULTIFD_HEADER_BYTES,
  MULTIFD_INIT_BYTES,
  MULTIFD_PAGES_BODY_BYTES,
} from "./multifd-packet.ts";
import type {
  CountOffsets,
  MultifdCompression,
  MultifdDeviceState,
  MultifdHead,
  MultifdInit,
  MultifdPages,
} from "./multifd-packet.ts";
import { offsetCounter } from "./offset-counter.ts";
import { behind, bytesOf, requireInBlock } from "./page-run.ts";
import type { PageRun } from "./page-run.ts";
import { locateError, truncated, unknownRamBlock } from "./refusals.ts";
import { WIRE_PAGE_SIZE } from "./wire.ts";

/** Where the contents of one channel go. A MigrationError thrown here gets the place in the channel added. */
export interface MultifdSink {
  /** The first call. Throws when this channel is not expected. */
  init(init: MultifdInit): void;
  /**
   * Finds a RAM block in the list that came on the main stream. Senders name no block before the first
   * sync, and a receiver lets that end when it has the list. Undefined: there is no such block.
   */
  findBlock(name: string): { readonly index: number; readonly length: number } | undefined;
  /** A page. `bytes` is valid during the call only. */
  page(block: number, offset: number, bytes: Uint8Array): void;
  /** Pages that follow each other in the block, as {@link page}. Default: each of them is a page. */
  pages?(block: number, offset: number, bytes: Uint8Array): void;
  zeroPage(block: number, offset: number, fill: number): void;
  /** Nothing more of this channel may be used until the main stream comes to the same point: the promise's end. */
  sync(packetNumber: number): Promise<void>;
  /** The header of every packet, before its contents. */
  packet?(packet: MultifdPages | MultifdDeviceState): void;
  /** Some of the bytes of a packet of device state. Without this method such packets are refused. */
  deviceState?(packet: MultifdDeviceState, bytes: Uint8Array): void;
}

/** Undoes the compression of one channel, which is one stream from its first packet to its last. */
export interface StreamDecompressor {
  /**
   * @param data the next bytes of the stream, flushed at their end; not to be used after the promise's end.
   * @param size what they stand for: never make more than that.
   * @returns exactly `size` bytes, valid until the next call.
   */
  decompress(data: Uint8Array, size: number): Promise<Uint8Array>;
}

/** What is done with the packets of one channel. */
export interface MultifdChannelOptions {
  readonly sink: MultifdSink;
  /** Called once, at the first compressed packet. Default: compressed packets are refused. */
  readonly openDecompressor?: (compression: Exclude<MultifdCompression, "none">) => StreamDecompressor;
  /** Looks through the offsets of a packet; OFFSET_COUNTER_BYTES of its work memory are taken. */
  readonly kernel?: PageKernel;
}

/** Pages whose bytes come next, and nothing else. */
export interface AwaitedPages {
  readonly block: number;
  readonly runs: readonly PageRun[];
  /** Bytes of the first page that are there already: less than a page. */
  readonly had: number;
}

type State =
  | { readonly item: "init" | "head" }
  | { readonly item: "header"; readonly head: MultifdHead }
  | {
      readonly item: "page";
      readonly packet: MultifdPages;
      readonly block: number;
      /** Those that have not come yet. */
      readonly runs: readonly PageRun[];
      /** Bytes of the first of them that were put where they belong without this decoder. */
      readonly had: number;
    }
  | { readonly item: "compressed"; readonly packet: MultifdPages; readonly block: number }
  | { readonly item: "device-state"; readonly packet: MultifdDeviceState; readonly left: number };

const AWAITING: Record<State["item"], string> = {
  init: "the init message of a multifd channel",
  head: "a multifd packet",
  header: "the header of a multifd packet",
  page: `a page of ${WIRE_PAGE_SIZE} bytes`,
  compressed: "compressed pages",
  "device-state": "device state",
};

/**
 * Decodes one multifd channel from chunks of any size. Memory is bounded by one packet's payload and
 * the chunk just pushed. After an error every call throws that error again.
 */
export class MultifdChannelDecoder {
  readonly #sink: MultifdSink;
  readonly #openDecompressor: MultifdChannelOptions["openDecompressor"];
  readonly #countOffsets: CountOffsets;
  readonly #reader = new ByteReader();
  #state: State = { item: "init" };
  /** Offset in the channel of the packet being read. */
  #packetAt = 0;
  #channel: number | undefined;
  /** What the pages of this channel have been so far. */
  #compression: MultifdCompression | undefined;
  #decompressor: StreamDecompressor | undefined;
  #running = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: MultifdChannelOptions) {
    this.#sink = options.sink;
    this.#openDecompressor = options.openDecompressor;
    this.#countOffsets = offsetCounter(options.kernel);
  }

  /** Whether the channel may end here: between two packets. */
  get finished(): boolean {
    return this.#state.item === "head" && this.#reader.available === 0;
  }

  /**
   * Decodes what the chunk completes. The chunk may be used again, and the next one pushed, when the
   * promise ends; that is after the sync that it may hold.
   */
  async push(chunk: Uint8Array): Promise<void> {
    await this.decode(chunk);
  }

  /**
   * As {@link push}, for one who does not wait where there is nothing to wait for. Throws what `push` rejects with, if that is
   * known at once.
   * @returns undefined when the chunk is decoded.
   */
  decode(chunk: Uint8Array): Promise<void> | undefined {
    this.#requireIdle("push");
    this.#reader.push(chunk);
    return this.#goOn();
  }

  /**
   * The pages whose bytes come next. Whoever can puts these where they belong without this decoder, and says so by
   * {@link placed}; no {@link push} may come while there is a part of a page. Undefined while none are awaited, or a part of one
   * is here.
   */
  get awaitedPages(): AwaitedPages | undefined {
    const state = this.#state;
    if (state.item !== "page" || this.#reader.available > 0 || this.#running) return undefined;
    return { block: state.block, runs: state.runs, had: state.had };
  }

  /**
   * Bytes that have to be pushed until there are {@link awaitedPages}, where a channel goes on as it has until now. Undefined where
   * that is not known.
   */
  get bytesToPages(): number | undefined {
    const { available } = this.#reader;
    switch (this.#state.item) {
      case "page":
        return available > 0 ? WIRE_PAGE_SIZE - available : 0;
      case "head":
        return this.#compression === "none" ? MULTIFD_HEADER_BYTES - available : undefined;
      case "header":
        return this.#compression === "none" ? MULTIFD_PAGES_BODY_BYTES - available : undefined;
      default:
        return undefined;
    }
  }

  /** So many bytes of the {@link awaitedPages} are where they belong. @returns as {@link decode}. */
  placed(bytes: number): Promise<void> | undefined {
    this.#requireIdle("placed");
    const state = this.#state;
    if (state.item !== "page" || !(bytes >= 0 && bytes <= bytesOf(state.runs) - state.had)) {
      throw new MigrationError("INTERNAL", `${bytes} bytes of pages were not awaited`);
    }
    this.#reader.pass(bytes);
    const had = state.had + bytes;
    const runs = behind(state.runs, Math.floor(had / WIRE_PAGE_SIZE));
    this.#state = { ...state, runs, had: had % WIRE_PAGE_SIZE };
    return runs.length > 0 ? undefined : this.#goOn();
  }

  /** Decodes what is here. @returns undefined when that is done, otherwise a promise for it. */
  #goOn(): Promise<void> | undefined {
    const step = this.#steps();
    return step === undefined ? undefined : this.#behind(step);
  }

  /** @returns what has to be waited for before the next item is read; undefined when none is complete. */
  #steps(): Promise<void> | undefined {
    try {
      for (;;) {
        const step = this.#step(this.#reader);
        if (step === false) break;
        // What comes behind a sync or a compressed packet has to wait for it.
        if (step !== true) return step;
      }
      this.#reader.detach();
      return undefined;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  async #behind(first: Promise<void>): Promise<void> {
    this.#running = true;
    try {
      for (let step: Promise<void> | undefined = first; step !== undefined; step = this.#steps()) await step;
    } catch (error) {
      throw this.#failure === undefined ? this.#fail(error) : error;
    } finally {
      this.#running = false;
    }
  }

  /** The channel has ended. Errors: TRUNCATED unless it is {@link finished}. */
  end(): void {
    this.#requireIdle("end");
    if (this.finished) return;
    const offset = this.#reader.offset + this.#reader.available;
    throw this.#fail(truncated(AWAITING[this.#state.item], { offset }));
  }

  #requireIdle(what: string): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (!this.#running) return;
    throw new MigrationError("INTERNAL", `${what} was called before the push before it had ended`);
  }

  /** Reads one item. @returns false when it is not complete yet. */
  #step(input: ByteReader): boolean | Promise<void> {
    const state = this.#state;
    switch (state.item) {
      case "init":
        if (input.available < MULTIFD_INIT_BYTES) return false;
        this.#init(decodeMultifdInit(input));
        return true;
      case "head":
        if (input.available < MULTIFD_HEAD_BYTES) return false;
        this.#packetAt = input.offset;
        this.#state = { item: "header", head: decodeMultifdHead(input) };
        return true;
      case "header":
        return this.#header(state.head, input);
      case "page":
        return this.#pages(state, input);
      case "compressed":
        if (input.available < state.packet.payloadBytes) return false;
        return this.#compressed(state.packet, state.block, input.view(state.packet.payloadBytes));
      default:
        return this.#deviceState(state.packet, state.left, input);
    }
  }

  #init(init: MultifdInit): void {
    this.#channel = init.channel;
    this.#sink.init(init);
    this.#state = { item: "head" };
  }

  #header(head: MultifdHead, input: ByteReader): boolean | Promise<void> {
    if (head.kind === "device-state") {
      if (input.available < MULTIFD_DEVICE_BODY_BYTES) return false;
      const packet = decodeMultifdDeviceState(input, head.flags);
      if (this.#sink.deviceState === undefined) {
        throw this.#bad(`device state of '${packet.name}' cannot be loaded from a multifd channel here`);
      }
      this.#sink.packet?.(packet);
      this.#state = { item: "device-state", packet, left: packet.payloadBytes };
      return true;
    }
    if (input.available < MULTIFD_PAGES_BODY_BYTES) return false;
    const packet = decodeMultifdPages(input, head.flags, this.#countOffsets);
    this.#sink.packet?.(packet);
    if (packet.runs.length + packet.zeroRuns.length === 0) return this.#endPacket(packet);
    return this.#startPages(packet);
  }

  #startPages(packet: MultifdPages): true | Promise<void> {
    const block = this.#sink.findBlock(packet.block);
    if (block === undefined) throw unknownRamBlock(packet.block);
    for (const run of packet.runs) requireInBlock(run, block.length);
    for (const run of packet.zeroRuns) requireInBlock(run, block.length);
    for (const { offset, pages } of packet.zeroRuns) {
      for (let page = 0; page < pages; page++)
        this.#sink.zeroPage(block.index, offset + page * WIRE_PAGE_SIZE, 0);
    }
    if (packet.runs.length === 0) return this.#endPacket(packet);
    this.#compression ??= packet.compression;
    if (this.#compression !== packet.compression) {
      throw this.#bad(
        `its compression is ${packet.compression} and that of the channel ${this.#compression}`,
      );
    }
    this.#state =
      packet.compression === "none"
        ? { item: "page", packet, block: block.index, runs: packet.runs, had: 0 }
        : { item: "compressed", packet, block: block.index };
    return true;
  }

  /** Hands on as many pages as are on hand. */
  #pages(state: Extract<State, { item: "page" }>, input: ByteReader): boolean | Promise<void> {
    let { runs } = state;
    if (state.had > 0 && input.available > 0)
      throw new MigrationError("INTERNAL", "the rest of a page came that was put in its place in part");
    while (runs.length > 0 && input.available >= WIRE_PAGE_SIZE) {
      const { offset, pages } = runs[0]!;
      // A page that is spread over two chunks has to be put together, and comes alone.
      const whole = Math.max(Math.floor(input.contiguous / WIRE_PAGE_SIZE), 1);
      const count = Math.min(whole, pages);
      this.#run(state.block, offset, input.view(count * WIRE_PAGE_SIZE));
      runs = behind(runs, count);
    }
    if (runs.length === 0) return this.#endPacket(state.packet);
    this.#state = { ...state, runs };
    return false;
  }

  async #compressed(packet: MultifdPages, block: number, data: Uint8Array): Promise<void> {
    const size = bytesOf(packet.runs);
    const bytes = await this.#decompress(packet.compression, data, size);
    let at = 0;
    for (const { offset, pages } of packet.runs) {
      const end = at + pages * WIRE_PAGE_SIZE;
      this.#run(block, offset, bytes.subarray(at, end));
      at = end;
    }
    const end = this.#endPacket(packet);
    if (end !== true) await end;
  }

  /** Pages that follow each other, to a sink that takes them so, or one by one. */
  #run(block: number, offset: number, bytes: Uint8Array): void {
    if (bytes.length > WIRE_PAGE_SIZE && this.#sink.pages !== undefined) {
      this.#sink.pages(block, offset, bytes);
      return;
    }
    for (let at = 0; at < bytes.length; at += WIRE_PAGE_SIZE)
      this.#sink.page(block, offset + at, bytes.subarray(at, at + WIRE_PAGE_SIZE));
  }

  async #decompress(compression: MultifdCompression, data: Uint8Array, size: number): Promise<Uint8Array> {
    if (compression === "none") return data;
    this.#decompressor ??= this.#openDecompressor?.(compression);
    const decompressor = this.#decompressor;
    if (decompressor === undefined) throw this.#bad(`its compression ${compression} cannot be undone here`);
    let cause: unknown;
    try {
      const bytes = await decompressor.decompress(data, size);
      if (bytes.length === size) return bytes;
    } catch (error) {
      cause = error;
    }
    throw this.#bad(`its ${compression} data does not decompress to ${size} bytes`, cause);
  }

  #deviceState(packet: MultifdDeviceState, left: number, input: ByteReader): boolean {
    let rest = left;
    while (rest > 0 && input.available > 0) {
      const bytes = input.some(rest);
      this.#sink.deviceState?.(packet, bytes);
      rest -= bytes.length;
    }
    this.#state = rest === 0 ? { item: "head" } : { item: "device-state", packet, left: rest };
    return rest === 0;
  }

  #endPacket(packet: MultifdPages): true | Promise<void> {
    this.#state = { item: "head" };
    return packet.sync ? this.#sink.sync(packet.packetNumber) : true;
  }

  #bad(why: string, cause?: unknown): MigrationError {
    return new MigrationError("BAD_PACKET", `A multifd packet cannot be accepted: ${why}`, { cause });
  }

  /** Remembers the error, with its place in the channel, for every later call. */
  #fail(error: unknown): unknown {
    const section = this.#channel === undefined ? "multifd channel" : `multifd channel ${this.#channel}`;
    const located = MigrationError.is(error)
      ? locateError(error, { offset: this.#packetAt, section })
      : error;
    this.#failure = { error: located };
    return located;
  }
}
