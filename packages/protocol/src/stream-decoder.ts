import { ByteReader } from "./byte-reader.ts";
import { decodeCommand } from "./command.ts";
import { ConfigurationDecoder } from "./configuration-decoder.ts";
import { MigrationError } from "./errors.ts";
import type { Limits } from "./limits.ts";
import type { Command, Configuration, SectionHeader, SectionKind } from "./messages.ts";
import type { PayloadDecoder } from "./payload-decoder.ts";
import {
  configurationMissing,
  footerMismatch,
  footerMissing,
  limitExceeded,
  locateError,
  notAStream,
  truncated,
  unknownSectionId,
  unknownSectionType,
  unsupportedVersion,
} from "./refusals.ts";
import { decodeUtf8 } from "./utf8.ts";
import { SECTION_TYPE, STREAM_MAGIC, STREAM_VERSION } from "./wire.ts";

/**
 * What a stream's contents are handed to. All calls are made inside {@link StreamDecoder.push} or
 * {@link StreamDecoder.resume}. A MigrationError thrown by one ends the decoding and gets the place
 * in the stream added.
 */
export interface StreamHandler {
  /** The first call, unless the stream has no configuration and is allowed to have none. */
  configuration(configuration: Configuration): void;
  /**
   * A START or FULL section begins. The decoder that is returned reads its payload, and for START the
   * payloads of the PART and END sections with the same id too. Throws UNKNOWN_SECTION and
   * UNSUPPORTED_SECTION_VERSION.
   */
  open(header: SectionHeader): PayloadDecoder;
  /** A section of any kind is complete, its footer included. */
  close?(header: SectionHeader): void;
  command(command: Command): void;
  /** Every section was read. Only a vmdescription may follow. */
  endMark(): void;
  /** The JSON after the end mark, not parsed. */
  vmDescription(text: string): void;
}

export interface StreamDecoderOptions {
  readonly limits: Limits;
  readonly handler: StreamHandler;
  /** Whether the stream may begin without a configuration section. Default: `required`. */
  readonly configuration?: "required" | "optional";
  /** Whether the first section decides if there are footers. Default: `required`. */
  readonly footers?: "required" | "detected";
}

interface OpenSection {
  readonly header: SectionHeader;
  readonly decoder: PayloadDecoder;
}

/** The item that comes next, with what is known of it. */
type State =
  | { readonly item: "magic" | "version" | "configuration-or-type" | "type" | "command-head" }
  | { readonly item: "configuration"; readonly decoder: ConfigurationDecoder }
  | { readonly item: "section-id"; readonly kind: SectionKind }
  | { readonly item: "section-name"; readonly kind: "start" | "full"; readonly id: number }
  | { readonly item: "payload"; readonly section: OpenSection }
  | { readonly item: "footer"; readonly section: OpenSection }
  | { readonly item: "command-payload"; readonly code: number; readonly length: number }
  | { readonly item: "after-end" | "description-length" }
  | { readonly item: "description"; readonly length: number }
  | { readonly item: "done" };

const BETWEEN_SECTIONS: State = { item: "type" };

const AWAITING: Record<State["item"], string> = {
  magic: "the magic of a migration stream",
  version: "the stream's version",
  "configuration-or-type": "the configuration section",
  configuration: "the configuration section",
  type: "a section type",
  "command-head": "a command",
  "command-payload": "the payload of a command",
  "section-id": "a section id",
  "section-name": "the name and version of a section",
  payload: "the payload of the section",
  footer: "the section footer",
  "after-end": "nothing",
  "description-length": "the length of the vmdescription",
  description: "the vmdescription",
  done: "nothing",
};

/**
 * Decodes a migration stream from chunks of any size. Memory is bounded by the limits and the chunk
 * just pushed. After an error every call throws that error again.
 */
export class StreamDecoder {
  readonly #limits: Limits;
  readonly #handler: StreamHandler;
  readonly #reader = new ByteReader();
  readonly #open = new Map<number, OpenSection>();
  readonly #configurationRequired: boolean;
  #footers: "undecided" | "present" | "absent";
  #state: State = { item: "magic" };
  /** Stream offset of the item in `#state`; of the whole section while its header is read. */
  #itemAt = 0;
  #lastGoodSection: string | undefined;
  #suspended = false;
  #running = false;
  #failure: { readonly error: unknown } | undefined;

  constructor(options: StreamDecoderOptions) {
    this.#limits = options.limits;
    this.#handler = options.handler;
    this.#configurationRequired = options.configuration !== "optional";
    this.#footers = options.footers === "detected" ? "undecided" : "present";
  }

  /** Offset in the stream of the next byte to be read. */
  get offset(): number {
    return this.#reader.offset;
  }

  /** Whether the stream may end here: the end mark was read, and the vmdescription if it has begun. */
  get finished(): boolean {
    return this.#state.item === "after-end" || this.#state.item === "done";
  }

  /**
   * Decodes what the chunk completes. When it returns true, everything on hand is consumed and the
   * chunk may be used again. When it returns false, the decoder was suspended and keeps the chunk.
   */
  push(chunk: Uint8Array): boolean {
    this.#requireIdle("push");
    if (this.#suspended)
      throw new MigrationError("INTERNAL", "the stream decoder is suspended: resume it before push");
    this.#reader.push(chunk);
    return this.#run();
  }

  /** Stops the decoding after the present item. Called by the handler or between calls. */
  suspend(): void {
    this.#suspended = true;
  }

  /** Goes on after {@link suspend} with what is on hand. @returns as {@link push} does. */
  resume(): boolean {
    this.#requireIdle("resume");
    this.#suspended = false;
    return this.#run();
  }

  /** The stream has ended. Errors: TRUNCATED unless it is {@link finished}. */
  end(): void {
    this.#requireIdle("end");
    if (this.#suspended)
      throw new MigrationError("INTERNAL", "the stream decoder is suspended: resume it before end");
    if (this.finished) return;
    const state = this.#state;
    const awaiting = state.item === "payload" || state.item === "configuration" ? state : undefined;
    const decoder = awaiting?.item === "payload" ? awaiting.section.decoder : awaiting?.decoder;
    this.#itemAt = this.#reader.offset + this.#reader.available;
    throw this.#fail(truncated(decoder?.awaiting ?? AWAITING[state.item], { offset: this.#itemAt }));
  }

  #requireIdle(what: string): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#running)
      throw new MigrationError("INTERNAL", `${what} was called from a handler of the stream decoder`);
  }

  #run(): boolean {
    this.#running = true;
    try {
      while (!this.#suspended && this.#step());
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
        this.#version(input.be32());
        return this.#expect({ item: "configuration-or-type" });
      case "configuration-or-type":
        if (input.available < 1) return false;
        return this.#expect(this.#configurationOrType(input));
      case "configuration":
        if (!state.decoder.decode(input)) return false;
        this.#handler.configuration(state.decoder.configuration);
        this.#lastGoodSection = "configuration";
        return this.#expect(BETWEEN_SECTIONS);
      case "type":
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
      case "payload":
        return this.#payload(state.section, input);
      case "footer":
        return this.#footer(state.section, input);
      case "command-head":
        if (input.available < 4) return false;
        this.#state = this.#commandHead(input.be16(), input.be16());
        return true;
      case "command-payload":
        if (input.available < state.length) return false;
        this.#handler.command(decodeCommand(state.code, input.view(state.length)));
        return this.#expect(BETWEEN_SECTIONS);
      case "after-end":
        if (input.available < 1) return false;
        if (input.u8() !== SECTION_TYPE.vmDescription) throw unexpectedData("the end mark");
        this.#state = { item: "description-length" };
        return true;
      case "description-length":
        if (input.available < 4) return false;
        this.#state = this.#descriptionLength(input.be32());
        return true;
      case "description":
        if (input.available < state.length) return false;
        this.#handler.vmDescription(decodeUtf8(input.view(state.length), "The vmdescription"));
        this.#lastGoodSection = "vmdescription";
        return this.#expect({ item: "done" });
      case "done":
        if (input.available > 0) throw unexpectedData("the vmdescription");
        return false;
    }
  }

  /** The next item begins at the next byte. */
  #expect(state: State): true {
    this.#state = state;
    this.#itemAt = this.#reader.offset;
    return true;
  }

  #version(version: number): void {
    if (version !== STREAM_VERSION) throw unsupportedVersion(version);
  }

  #configurationOrType(input: ByteReader): State {
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
        this.#state = { item: "command-head" };
        return;
      case SECTION_TYPE.endMark:
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
    this.#expect({
      item: "payload",
      section: { header: { ...section.header, kind }, decoder: section.decoder },
    });
  }

  #sectionName(kind: "start" | "full", id: number, input: ByteReader): void {
    const name = input.counted("The name of a section");
    const header: SectionHeader = { kind, id, name, instance: input.be32(), version: input.be32() };
    if (kind === "start") this.#requireRoomForSection(header);
    const section = { header, decoder: this.#handler.open(header) };
    if (kind === "start") this.#open.set(id, section);
    this.#expect({ item: "payload", section });
  }

  #requireRoomForSection(header: SectionHeader): void {
    const { id, name } = header;
    if (this.#open.has(id)) {
      throw new MigrationError("BAD_SECTION", `Section ${id} was started twice`, { section: name });
    }
    const limit = this.#limits.maxOpenSections;
    if (this.#open.size >= limit) {
      throw limitExceeded("open sections", this.#open.size + 1, limit, { section: name });
    }
  }

  #payload(section: OpenSection, input: ByteReader): boolean {
    if (section.decoder.decode(input)) return this.#expect({ item: "footer", section });
    const limit = this.#limits.maxItemBytes;
    if (input.available > limit) throw limitExceeded("bytes of one item", input.available, limit);
    return false;
  }

  #footer(section: OpenSection, input: ByteReader): boolean {
    const { header } = section;
    if (this.#footers === "absent") return this.#closeSection(header);
    if (input.available < 1) return false;
    if (input.peekU8() !== SECTION_TYPE.footer) {
      if (this.#footers === "present") throw footerMissing(header.name);
      this.#footers = "absent";
      return this.#closeSection(header);
    }
    if (input.available < 5) return false;
    input.u8();
    const id = input.be32();
    if (id !== header.id) throw footerMismatch(header.name, id, header.id);
    this.#footers = "present";
    return this.#closeSection(header);
  }

  #closeSection(header: SectionHeader): true {
    this.#handler.close?.(header);
    if (header.kind === "end") this.#open.delete(header.id);
    this.#lastGoodSection = header.name;
    return this.#expect(BETWEEN_SECTIONS);
  }

  #commandHead(code: number, length: number): State {
    const limit = this.#limits.maxCommandBytes;
    if (length > limit) throw limitExceeded(`bytes of payload of command ${code}`, length, limit);
    return { item: "command-payload", code, length };
  }

  #descriptionLength(length: number): State {
    const limit = this.#limits.maxVmDescriptionBytes;
    if (length > limit) throw limitExceeded("bytes of vmdescription", length, limit);
    return { item: "description", length };
  }

  /** Remembers the error, with its place in the stream, for every later call. */
  #fail(error: unknown): unknown {
    const located = MigrationError.is(error) ? locateError(error, this.#place()) : error;
    this.#failure = { error: located };
    return located;
  }

  #place(): { offset: number; section?: string; lastGoodSection?: string } {
    const section = this.#presentSection();
    return {
      offset: this.#state.item === "payload" ? this.#reader.offset : this.#itemAt,
      ...(section === undefined ? {} : { section }),
      ...(this.#lastGoodSection === undefined ? {} : { lastGoodSection: this.#lastGoodSection }),
    };
  }

  #presentSection(): string | undefined {
    switch (this.#state.item) {
      case "configuration-or-type":
      case "configuration":
        return "configuration";
      case "payload":
      case "footer":
        return this.#state.section.header.name;
      case "description-length":
      case "description":
        return "vmdescription";
      default:
        return undefined;
    }
  }
}

function unexpectedData(after: string): MigrationError {
  return new MigrationError("UNEXPECTED_DATA", `Unexpected data after ${after}`);
}
