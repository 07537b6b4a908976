import {
  ByteWriter,
  encodeCommand,
  encodeConfiguration,
  encodeEndMark,
  encodeFooter,
  encodeHeader,
  encodeSectionContinuation,
  encodeSectionHeader,
  encodeVmDescriptionText,
  MigrationError,
} from "@peregrine/protocol";
import type { Command, Configuration, SectionHeader } from "@peregrine/protocol";
import type { CarriedClosing, OpaqueSection } from "@peregrine/shared-state";
import type { OutgoingStream } from "./outgoing-stream.ts";

/** Writes everything of the stream but the payloads of live sections. */
export class SectionWriter {
  readonly #stream: OutgoingStream;
  readonly #footers: boolean;
  readonly #writer = new ByteWriter();
  /** Not 0: real destinations take that for the id of every section that they have not seen the start of. */
  #nextId = 1;
  /** A section is open, or nothing may follow any more. */
  #closed = false;
  #appending = false;

  /** @param footers whether each section ends with one. */
  constructor(stream: OutgoingStream, footers: boolean) {
    this.#stream = stream;
    this.#footers = footers;
  }

  /**
   * Whether a short command can be put in at once by somebody else than the migration's routine: between two sections,
   * with nothing waiting to go out.
   */
  get isBetween(): boolean {
    return !this.#closed && !this.#appending && this.#stream.waitingBytes === 0;
  }

  /** Magic and version, and the configuration section if the stream has one. */
  async header(configuration: Configuration | undefined): Promise<void> {
    encodeHeader(this.#writer);
    if (configuration !== undefined) encodeConfiguration(this.#writer, configuration);
    await this.#append();
  }

  async command(command: Command): Promise<void> {
    encodeCommand(this.#writer, command);
    await this.#append();
  }

  /** Opens a section whose payload the caller appends to the stream. @returns its id. */
  async openSection(
    header: Omit<SectionHeader, "id"> & { readonly kind: "start" | "full" },
  ): Promise<number> {
    const id = this.#nextId++;
    this.#closed = true;
    encodeSectionHeader(this.#writer, { ...header, id });
    await this.#append();
    return id;
  }

  /** Goes on with a live section. */
  async continueSection(kind: "part" | "end", id: number): Promise<void> {
    this.#closed = true;
    encodeSectionContinuation(this.#writer, { kind, id });
    await this.#append();
  }

  /** What follows a section's payload. */
  async closeSection(id: number): Promise<void> {
    if (this.#footers) {
      encodeFooter(this.#writer, id);
      await this.#append();
    }
    this.#closed = false;
  }

  /** FULL sections, in their order. */
  async sections(sections: readonly OpaqueSection[]): Promise<void> {
    for (const section of sections) await this.closeSection(await this.#fullSection(section));
  }

  /** Everything behind guest memory but the bytes that make the stream complete. */
  async late({ late, ending }: CarriedClosing): Promise<void> {
    await this.sections(ending.kind === "undivided" ? late.slice(0, -1) : late);
  }

  /** The bytes that make the stream complete. */
  async ending({ late, ending }: CarriedClosing): Promise<void> {
    if (ending.kind === "undivided") {
      const last = late.at(-1);
      if (last === undefined) throw new MigrationError("INTERNAL", "an undivided stream has no last section");
      await this.#fullSection(last);
      return;
    }
    this.#closed = ending.kind !== "described";
    encodeEndMark(this.#writer);
    if (ending.kind === "described") encodeVmDescriptionText(this.#writer, ending.text);
    await this.#append();
  }

  async #fullSection({ name, instance, version, payload }: OpaqueSection): Promise<number> {
    const id = await this.openSection({ kind: "full", name, instance, version });
    await this.#stream.append(payload);
    return id;
  }

  async #append(): Promise<void> {
    this.#appending = true;
    try {
      await this.#stream.append(this.#writer.view());
    } finally {
      this.#appending = false;
    }
    this.#writer.reset();
  }
}
