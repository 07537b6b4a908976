import type { Limits } from "./limits.ts";
import type { Command, Configuration, SectionHeader } from "./messages.ts";
import type { OpaqueDevice, PayloadDecoder } from "./payload-decoder.ts";

/**
 * What a stream's contents are handed to. All calls are made inside StreamDecoder.push or
 * StreamDecoder.resume. A MigrationError thrown by one ends the decoding and gets the place
 * in the stream added.
 */
export interface StreamHandler {
  /** The first call, unless the stream has no configuration and is allowed to have none. */
  configuration(configuration: Configuration): void;
  /**
   * A START or FULL section begins. The decoder that is returned reads its payload, and for START the
   * payloads of the PART and END sections with the same id too. For a FULL section whose layout is not
   * known here an {@link OpaqueDevice} takes the payload. Throws UNKNOWN_SECTION and
   * UNSUPPORTED_SECTION_VERSION.
   */
  open(header: SectionHeader): PayloadDecoder | OpaqueDevice;
  /** A PART or END section begins. Its payload goes to the decoder of its START. */
  part?(header: SectionHeader): void;
  /**
   * The payload of a section is complete. Its footer may be a long time in coming: a source sends on what it has
   * written at the end of a payload, and the footer with what follows.
   */
  payloadEnd?(header: SectionHeader): void;
  /** A section of any kind is complete, its footer included. */
  close?(header: SectionHeader): void;
  /** After `packaged` the contents of the package follow as calls like any others. */
  command(command: Command): void;
  /** Every byte of a package was read. */
  packageEnd?(): void;
  /** Every section was read. Only a vmdescription may follow. */
  endMark(): void;
  /** The JSON after the end mark, not parsed. */
  vmDescription(text: string): void;
}

/** What a stream is decoded with. */
export interface StreamDecoderOptions {
  readonly limits: Limits;
  readonly handler: StreamHandler;
  /** Whether the stream may begin without a configuration section. Default: `required`. */
  readonly configuration?: "required" | "optional";
  /** Whether the first section decides if there are footers. Default: `required`. */
  readonly footers?: "required" | "detected";
}
