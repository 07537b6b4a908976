import { ByteReader } from "./byte-reader.ts";
import { decodeCommand } from "./command.ts";
import { ConfigurationDecoder } from "./configuration-decoder.ts";
import { DeviceLengths } from "./device-lengths.ts";
import { MigrationError } from "./errors.ts";
import { Footers } from "./footers.ts";
import type { Limits } from "./limits.ts";
import type { Command, SectionHeader, SectionKind } from "./messages.ts";
import {
  badPackage,
  configurationMissing,
  limitExceeded,
  locateError,
  notAStream,
  opaqueLiveSection,
  truncated,
  unexpectedData,
  unknownSectionId,
  unknownSectionType,
  unsupportedVersion,
} from "./refusals.ts";
import type { StreamDecoderOptions, StreamHandler } from "./stream-handler.ts";
import { PackageBounds } from "./package-bounds.ts";
import {
  awaitedBy,
  BETWEEN_SECTIONS,
  commandPayload,
  COMPLETE,
  descriptionText,
  sectionOf,
} from "./stream-state.ts";
import type { FooterUse, OpenSection, StreamState } from "./stream-state.ts";
import { decodeUtf8 } from "./utf8.ts";
import { SECTION_TYPE, STREAM_MAGIC, STREAM_VERSION } from "./wire.ts";

/**
 * Decodes a migration stream from chunks of any size. Memory is bounded by the limits and the chunk
 * just pushed. After an error every call throws that error again.
 */
export class StreamDecoder {
  readonly #limits: Limits;
  readonly #handler: StreamHandler;
  readonly #reader = new ByteReader();
  readonly #open = new Map<number, OpenSection>();
  readonly #deviceLengths: DeviceLengths;
  readonly #package: PackageBounds;
  readonly #configurationRequired: boolean;
  readonly #footers: Footers;
  #state: StreamState = { item: "magic" };
  /** Stream offset of the item in `#state`; of the whole section while its header is read. */
  #itemAt = 0;
  #lastGoodSection: string | undefined;
  /** What comes behind what is on hand. */
  #behind: "more" | "quiet" | "end-of-stream" = "more";
  #suspended = false;
  #running = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: StreamDecoderOptions) {
    this.#limits = options.limits;
    this.#handler = options.handler;
    this.#deviceLengths = new DeviceLengths(options.limits, (id) => this.#open.has(id));
    this.#package = new PackageBounds(options.limits);
    this.#configurationRequired = options.configuration !== "optional";
    this.#footers = new Footers(options.footers === "detected" ? "undecided" : "present");
  }

  /** Offset in the stream of the next byte to be read. */
  get offset(): number {
    return this.#reader.offset;
  }

  /** Whether the stream may end here: the end mark was read, and the vmdescription if it has begun. */
  get finished(): boolean {
    return this.#state.item === "after-end" || this.#state.item === "done";
  }

  /** Whether nothing was read in part: a section or a command may begin, or the stream may end. */
  get rests(): boolean {
    return this.finished || (this.#state.item === "type" && this.#reader.available === 0);
  }

  /** Bytes that are missing until a record of a section begins; see {@link PayloadDecoder.bytesToRecord}. */
  get bytesToRecord(): number | undefined {
    const state = this.#state;
    if (state.item !== "payload" || this.#suspended || this.#package.isOpen) return undefined;
    return state.section.decoder.bytesToRecord?.(this.#reader.available);
  }

  /**
   * Counts so many bytes of whole records that were decoded elsewhere. Errors: INTERNAL unless {@link bytesToRecord} is 0.
   */
  passRecords(bytes: number): void {
    this.#requireReady("passRecords");
    if (this.bytesToRecord !== 0) {
      throw new MigrationError("INTERNAL", "records were decoded elsewhere in the middle of something");
    }
    this.#reader.pass(bytes);
  }

  /** Whether sections end with footers. */
  get footers(): FooterUse {
    return this.#footers.use;
  }

  /** Whether device sections are held because nothing on hand tells their lengths. */
  get holds(): boolean {
    return this.#state.item === "measuring";
  }

  /**
   * Decodes what the chunk completes. When it returns true, everything on hand is consumed and the
   * chunk may be used again. When it returns false, the decoder was suspended and keeps the chunk.
   */
  push(chunk: Uint8Array): boolean {
    this.#requireReady("push");
    if (this.#behind !== "more" && chunk.length > 0) {
      throw this.#fail(unexpectedData("the end of the stream"));
    }
    this.#reader.push(chunk);
    return this.#run();
  }

  /** Stops the decoding after the present item. Called by the handler or between calls. */
  suspend(): void {
    this.#suspended = true;
  }

  /** Goes on after {@link suspend} with what is on hand; not from a handler. @returns as {@link push} does. */
  resume(): boolean {
    this.#requireIdle("resume");
    this.#suspended = false;
    return this.#run();
  }

  /**
   * Nothing more has come for a while. If the stream is whole with what is on hand, it ends here: any byte that
   * comes after all is refused. Device sections that are held are whole when their footers tell so and the end
   * mark is the last byte, or the vmdescription behind it; without footers, when the last byte can be the end mark.
   * @returns whether the stream is whole. The decoder is suspended then: {@link resume} decodes what was held.
   */
  settle(): boolean {
    this.#requireReady("settle");
    const state = this.#state;
    this.#behind = "quiet";
    const whole =
      state.item === "measuring"
        ? !this.#package.isOpen && this.#measure(state, this.#reader)
        : this.finished;
    if (whole) this.#suspended = true;
    else this.#behind = "more";
    return whole;
  }

  /**
   * The stream has ended. Decodes device sections that were held until then. Errors: TRUNCATED unless the
   * stream is {@link finished}.
   * @returns as {@link push} does. After false, call it again when `resume` has returned true.
   */
  end(): boolean {
    this.#requireReady("end");
    this.#behind = "end-of-stream";
    if (this.#state.item === "measuring" && !this.#run()) return false;
    if (this.finished) return true;
    const awaited = awaitedBy(this.#state);
    throw this.#fail(truncated(awaited, { offset: this.#reader.offset + this.#reader.available }));
  }

  #requireIdle(what: string): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#running) {
      throw new MigrationError("INTERNAL", `${what} was called from a handler of the stream decoder`);
    }
  }

  #requireReady(what: string): void {
    this.#requireIdle(what);
    if (!this.#suspended) return;
    throw new MigrationError("INTERNAL", `the stream decoder is suspended: resume it before ${what}`);
  }

  #run(): boolean {
    this.#running = true;
    try {
      while (!this.#suspended && this.#step()) this.#package.requireInside(this.#reader.offset);
    } catch (error) {
      throw this.#fail(error);
    } finally {
      this.#running = false;
    }
    if (this.#suspended) return false;
    this.#reader.detach();
    return true;
  }

  /** Reads one item. @returns false when it is not complete yet. */
  #step(): boolean {
    const state = this.#state;
    const input = this.#reader;
    switch (state.item) {
      case "magic":
        if (input.available < 4) return false;
        if (input.be32() !== STREAM_MAGIC) throw notAStream();
        return this.#expect({ item: "version" });
      case "version":
        if (input.available < 4) return false;
        requireVersion(input.be32());
        return this.#expect({ item: "configuration-or-type" });
      case "configuration-or-type":
        if (input.available < 1) return false;
        this.#state = this.#configurationOrType(input);
        return true;
      case "configuration":
        if (!state.decoder.decode(input)) return false;
        this.#handler.configuration(state.decoder.configuration);
        this.#lastGoodSection = "configuration";
        return this.#expect(BETWEEN_SECTIONS);
      case "type":
        if (this.#package.remaining(input.offset) === 0) return this.#endPackage();
        if (input.available < 1) return false;
        this.#type(input.u8());
        return true;
      case "section-id":
        if (input.available < 4) return false;
        this.#sectionId(state.kind, input.be32());
        return true;
      case "section-name":
        if (!input.hasCounted(8)) return false;
        this.#sectionName(state.kind, state.id, input);
        return true;
      case "opening":
        this.#openSection(state.header);
        return true;
      case "payload":
        return this.#payload(state.section, input);
      case "measuring":
        return this.#measure(state, input);
      case "opaque-payload":
        if (input.available < state.length) return false;
        state.section.device.payload(input.view(state.length), state.by);
        return this.#expect({ item: "footer", section: state.section });
      case "undivided":
        state.section.device.undivided?.(input.view(state.length));
        return this.#expect(BETWEEN_SECTIONS);
      case "footer":
        return this.#footers.read(state.section.header, input) && this.#closeSection(state.section.header);
      case "command-head":
        if (input.available < 4) return false;
        this.#state = commandPayload(input.be16(), input.be16(), {
          behind: state.behind,
          limits: this.#limits,
        });
        return true;
      case "command-payload":
        if (input.available < state.length) return false;
        this.#command(decodeCommand(state.code, input.view(state.length), input.offset - state.length));
        return this.#expect(state.behind);
      case "after-end":
        if (input.available < 1) return false;
        if (input.u8() !== SECTION_TYPE.vmDescription) throw unexpectedData("the end mark");
        this.#state = { item: "description-length" };
        return true;
      case "description-length":
        if (input.available < 4) return false;
        this.#state = descriptionText(input.be32(), this.#limits);
        return true;
      case "description":
        if (input.available < state.length) return false;
        this.#handler.vmDescription(decodeUtf8(input.view(state.length), "The vmdescription"));
        this.#lastGoodSection = "vmdescription";
        return this.#expect(COMPLETE);
      default:
        if (input.available < 1) return false;
        if (input.u8() !== SECTION_TYPE.command) throw unexpectedData("the vmdescription");
        this.#state = { item: "command-head", behind: COMPLETE };
        return true;
    }
  }

  /** The next item begins at the next byte. */
  #expect(state: StreamState): true {
    this.#state = state;
    this.#itemAt = this.#reader.offset;
    return true;
  }

  #configurationOrType(input: ByteReader): StreamState {
    if (input.peekU8() === SECTION_TYPE.configuration) {
      input.u8();
      return { item: "configuration", decoder: new ConfigurationDecoder(this.#limits) };
    }
    if (this.#configurationRequired) throw configurationMissing();
    return BETWEEN_SECTIONS;
  }

  #type(type: number): void {
    switch (type) {
      case SECTION_TYPE.start:
        this.#state = { item: "section-id", kind: "start" };
        return;
      case SECTION_TYPE.part:
        this.#state = { item: "section-id", kind: "part" };
        return;
      case SECTION_TYPE.end:
        this.#state = { item: "section-id", kind: "end" };
        return;
      case SECTION_TYPE.full:
        this.#state = { item: "section-id", kind: "full" };
        return;
      case SECTION_TYPE.command:
        this.#state = { item: "command-head", behind: BETWEEN_SECTIONS };
        return;
      case SECTION_TYPE.endMark:
        if (this.#package.isOpen) throw badPackage("has an end mark");
        this.#handler.endMark();
        this.#expect({ item: "after-end" });
        return;
      default:
        throw unknownSectionType(type);
    }
  }

  #sectionId(kind: SectionKind, id: number): void {
    if (kind === "start" || kind === "full") {
      this.#state = { item: "section-name", kind, id };
      return;
    }
    const section = this.#open.get(id);
    if (section === undefined) throw unknownSectionId(id);
    const header = { ...section.header, kind };
    this.#handler.part?.(header);
    this.#expect({ item: "payload", section: { header, decoder: section.decoder } });
  }

  #sectionName(kind: "start" | "full", id: number, input: ByteReader): void {
    const name = input.counted("The name of a section");
    const header = { kind, id, name, instance: input.be32(), version: input.be32() };
    this.#state = { item: "opening", header };
  }

  #openSection(header: SectionHeader): void {
    if (header.kind === "start") this.#requireRoomForSection(header);
    const opened = this.#handler.open(header);
    if (!("decode" in opened)) {
      if (header.kind === "start") throw opaqueLiveSection(header.name);
      this.#expect(this.#deviceLengths.begin({ header, device: opened }, this.footers));
      return;
    }
    const section = { header, decoder: opened };
    if (header.kind === "start") this.#open.set(header.id, section);
    else this.#deviceLengths.skip();
    this.#expect({ item: "payload", section });
  }

  #measure(state: StreamState & { readonly item: "measuring" }, input: ByteReader): boolean {
    const next = this.#deviceLengths.measure(state, input, {
      remaining: this.#package.remaining(input.offset),
      behind: this.#behind,
      footers: this.footers,
    });
    return next !== undefined && this.#expect(next);
  }

  #requireRoomForSection({ id }: SectionHeader): void {
    if (this.#open.has(id)) throw new MigrationError("BAD_SECTION", `Section ${id} was started twice`);
    const limit = this.#limits.maxOpenSections;
    if (this.#open.size >= limit) throw limitExceeded("open sections", this.#open.size + 1, limit);
  }

  #payload(section: OpenSection, input: ByteReader): boolean {
    if (section.decoder.decode(input)) {
      this.#handler.payloadEnd?.(section.header);
      return this.#expect({ item: "footer", section });
    }
    const limit = this.#limits.maxItemBytes;
    // What is on hand while the handler waits is not held for the item.
    if (this.#suspended || input.available <= limit) return false;
    throw limitExceeded("bytes of one item", input.available, limit);
  }

  #closeSection(header: SectionHeader): true {
    this.#handler.close?.(header);
    if (header.kind === "end") this.#open.delete(header.id);
    this.#lastGoodSection = header.name;
    return this.#expect(BETWEEN_SECTIONS);
  }

  #command(command: Command): void {
    if (command.kind === "packaged") this.#package.start(this.#reader.offset, command.length);
    this.#handler.command(command);
  }

  #endPackage(): true {
    this.#package.end();
    this.#handler.packageEnd?.();
    return true;
  }

  /** Remembers the error, with its place in the stream, for every later call. */
  #fail(error: unknown): unknown {
    const located = MigrationError.is(error) ? locateError(error, this.#place()) : error;
    this.#failure = { error: located };
    return located;
  }

  #place(): { offset: number; section?: string; lastGoodSection?: string } {
    const section = sectionOf(this.#state);
    return {
      offset: this.#state.item === "payload" ? this.#reader.offset : this.#itemAt,
      ...(section === undefined ? {} : { section }),
      ...(this.#lastGoodSection === undefined ? {} : { lastGoodSection: this.#lastGoodSection }),
    };
  }
}

function requireVersion(version: number): void {
  if (version !== STREAM_VERSION) throw unsupportedVersion(version);
}
